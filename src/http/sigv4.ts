/**
 * AWS Signature Version 4 as Infino speaks it: region `us-east-1`, service `es`, the headers `host`,
 * `x-amz-content-sha256`, `x-amz-date` and, where one is sent, `content-type`.
 *
 * What is signed is what goes on the wire: the path as it stands in the request line, and the query decoded
 * once, encoded once, sorted by name and value. Encode path parts with `encodePart`; the many readings of a
 * path that signers disagree on (raw, encoded twice, `;` cut off) then differ for percent signs alone, and for
 * names of `A-Z a-z 0-9 - . _ ~` not at all.
 *
 * A verifying server should be more lenient: `canonicalPaths` and `canonicalQueries` list the readings that
 * Infino's official SDK and stock signers use, the usual one first.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

const ALGORITHM = 'AWS4-HMAC-SHA256'
const REGION = 'us-east-1'
const SERVICE = 'es'
const TERMINATOR = 'aws4_request'

/** Payload hash of a body that is not signed: multipart uploads. */
export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD'
/** Payload hash of a request without a body. */
export const EMPTY_HASH = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

/** The hash of a body, in lower-case hex. */
export function payloadHash(body: Uint8Array | string): string {
  return createHash('sha256').update(body).digest('hex')
}

/** `20250115T103000Z` for a time in milliseconds since the epoch. */
export function amzDate(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/[-:]|\.\d+/g, '')
}

/** One part of a path, or a name or value of a query, with all but `A-Z a-z 0-9 - . _ ~` percent-encoded. */
export function encodePart(part: string): string {
  return encodeURIComponent(part).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** What a signature covers. */
export interface CanonicalParts {
  readonly method: string
  /** The canonical path, `/` where empty. */
  readonly path: string
  /** The canonical query, without `?`. */
  readonly query: string
  /** Lower-case names in the order in which they are signed, with their values. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly payloadHash: string
}

export function canonicalRequest(parts: CanonicalParts): string {
  const headers = parts.headers.map(([name, value]) => `${name}:${value}\n`).join('')
  const names = parts.headers.map(([name]) => name).join(';')
  return `${parts.method}\n${parts.path || '/'}\n${parts.query}\n${headers}\n${names}\n${parts.payloadHash}`
}

/** Where and on which day a signature is valid. */
export interface Scope {
  /** `20250115` */
  readonly date: string
  readonly region: string
  readonly service: string
}

export function stringToSign(date: string, scope: Scope, canonical: string): string {
  return `${ALGORITHM}\n${date}\n${scopeText(scope)}\n${payloadHash(canonical)}`
}

export function signingKey(secretKey: string, scope: Scope): Buffer {
  const day = hmac(`AWS4${secretKey}`, scope.date)
  return hmac(hmac(hmac(day, scope.region), scope.service), TERMINATOR)
}

/** The signature in lower-case hex. `date` is the value of `x-amz-date`. */
export function signature(parts: CanonicalParts, date: string, scope: Scope, secretKey: string): string {
  const text = stringToSign(date, scope, canonicalRequest(parts))
  return hmac(signingKey(secretKey, scope), text).toString('hex')
}

export interface SignRequest {
  readonly method: string
  /** The very URL that is requested. */
  readonly url: URL
  /** Of these, `content-type` and `host` are signed; `host` defaults to the URL's. Names in any case. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** `payloadHash(body)`, `EMPTY_HASH` or `UNSIGNED_PAYLOAD`. */
  readonly payloadHash: string
  readonly accessKey: string
  readonly secretKey: string
  /** Milliseconds since the epoch. */
  readonly timeMs: number
}

/** The headers to add to a request: `host`, `x-amz-date`, `x-amz-content-sha256` and `authorization`. */
export function signRequest(request: SignRequest): Record<string, string> {
  const date = amzDate(request.timeMs)
  const scope: Scope = { date: date.slice(0, 8), region: REGION, service: SERVICE }
  const host = headerOf(request.headers, 'host') ?? request.url.host
  const contentType = headerOf(request.headers, 'content-type')
  const headers: [string, string][] = [
    ['host', host],
    ['x-amz-content-sha256', request.payloadHash],
    ['x-amz-date', date],
  ]
  if (contentType !== undefined) headers.unshift(['content-type', contentType])
  const parts: CanonicalParts = {
    method: request.method,
    path: request.url.pathname,
    query: standardQuery(request.url.search),
    headers,
    payloadHash: request.payloadHash,
  }
  const names = headers.map(([name]) => name).join(';')
  const signed = signature(parts, date, scope, request.secretKey)
  return {
    host,
    'x-amz-date': date,
    'x-amz-content-sha256': request.payloadHash,
    authorization: `${ALGORITHM} Credential=${request.accessKey}/${scopeText(scope)}, SignedHeaders=${names}, Signature=${signed}`,
  }
}

/** What an `Authorization` header says. */
export interface Authorization {
  readonly accessKey: string
  readonly scope: Scope
  /** Lower-case names, in the order signed. */
  readonly signedHeaders: readonly string[]
  readonly signature: string
}

/** Undefined where the header is not of this scheme or not complete. */
export function parseAuthorization(header: string): Authorization | undefined {
  if (!header.startsWith(`${ALGORITHM} `)) return undefined
  const fields = new Map<string, string>()
  for (const piece of header.slice(ALGORITHM.length + 1).split(',')) {
    const at = piece.indexOf('=')
    if (at > 0) fields.set(piece.slice(0, at).trim(), piece.slice(at + 1).trim())
  }
  const credential = fields.get('Credential')?.split('/') ?? []
  const signedHeaders = fields.get('SignedHeaders')?.toLowerCase().split(';') ?? []
  const signed = fields.get('Signature') ?? ''
  // An access key may hold slashes; the scope is the last four parts.
  const [date, region, service, terminator] = credential.slice(-4)
  const accessKey = credential.slice(0, -4).join('/')
  if (terminator !== TERMINATOR || !date || !region || !service || accessKey === '') return undefined
  if (!/^[0-9a-f]{64}$/.test(signed) || signedHeaders.length === 0 || signedHeaders.includes(''))
    return undefined
  return { accessKey, scope: { date, region, service }, signedHeaders, signature: signed }
}

export interface VerifyRequest {
  readonly method: string
  /** Path and query as they stand in the request line, without fragment. */
  readonly target: string
  /** Value of a header by its lower-case name. */
  readonly header: (name: string) => string | undefined
  readonly authorization: Authorization
  readonly secretKey: string
}

/**
 * Whether the signature is the one that this secret gives for this request, in any reading of path and query.
 * Left to the caller: the age of `x-amz-date`, and that `x-amz-content-sha256` is the hash of the real body.
 */
export function verifySignature(request: VerifyRequest): boolean {
  const { authorization } = request
  const date = request.header('x-amz-date')
  const hash = request.header('x-amz-content-sha256')
  if (date === undefined || hash === undefined || !date.startsWith(authorization.scope.date)) return false
  const headers: [string, string][] = []
  for (const name of authorization.signedHeaders) {
    const value = request.header(name)
    if (value === undefined) return false
    headers.push([name, value])
  }
  // A signature over less could be moved to another host, body or time.
  for (const name of ['host', 'x-amz-content-sha256', 'x-amz-date'])
    if (!authorization.signedHeaders.includes(name)) return false
  const given = Buffer.from(authorization.signature)
  const split = request.target.indexOf('?')
  const path = split < 0 ? request.target : request.target.slice(0, split)
  const query = split < 0 ? '' : request.target.slice(split + 1)
  for (const canonicalPath of canonicalPaths(path))
    for (const canonicalQuery of canonicalQueries(query)) {
      const parts = {
        method: request.method,
        path: canonicalPath,
        query: canonicalQuery,
        headers,
        payloadHash: hash,
      }
      const expected = Buffer.from(signature(parts, date, authorization.scope, request.secretKey))
      if (given.length === expected.length && timingSafeEqual(given, expected)) return true
    }
  return false
}

/**
 * How signers read a path: as on the wire; each part encoded once more (stock signers); decoded (the SDK, given
 * a raw path); and the last two of them with `;...` of the last part cut off (the SDK).
 */
export function canonicalPaths(path: string): readonly string[] {
  const wire = path || '/'
  const decoded = decode(wire)
  const twice = wire.split('/').map(encodePart).join('/')
  return [...new Set([wire, twice, decoded, withoutParams(wire), withoutParams(decoded)])]
}

/** How signers read a query: by the standard; encoded twice where it came encoded (the SDK); not at all (the SDK's `params=`). */
export function canonicalQueries(query: string): readonly string[] {
  return [...new Set([standardQuery(query), sdkQuery(query), ''])]
}

function standardQuery(query: string): string {
  const pairs = queryPairs(query).map(
    ([name, value]) => [encodePart(decode(name)), encodePart(decode(value))] as const,
  )
  pairs.sort((a, b) => order(a[0], b[0]) || order(a[1], b[1]))
  return pairs.map(([name, value]) => `${name}=${value}`).join('&')
}

/** Encodes without decoding first, and keeps the order of equal names. */
function sdkQuery(query: string): string {
  const pairs = queryPairs(query).map(([name, value]) => [encodePart(name), encodePart(value)] as const)
  pairs.sort((a, b) => order(a[0], b[0]))
  return pairs.map(([name, value]) => `${name}=${value}`).join('&')
}

function queryPairs(query: string): (readonly [string, string])[] {
  const pairs: (readonly [string, string])[] = []
  for (const piece of (query.startsWith('?') ? query.slice(1) : query).split('&')) {
    if (piece === '') continue
    const at = piece.indexOf('=')
    pairs.push(at < 0 ? [piece, ''] : [piece.slice(0, at), piece.slice(at + 1)])
  }
  return pairs
}

function withoutParams(path: string): string {
  const cut = path.indexOf(';', path.lastIndexOf('/') + 1)
  return cut < 0 ? path : path.slice(0, cut)
}

/** Malformed escapes stay as they are: a verifying server must not fail on them. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function headerOf(headers: SignRequest['headers'], name: string): string | undefined {
  for (const key in headers) if (key.toLowerCase() === name) return headers[key]
  return undefined
}

function scopeText(scope: Scope): string {
  return `${scope.date}/${scope.region}/${scope.service}/${TERMINATOR}`
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
