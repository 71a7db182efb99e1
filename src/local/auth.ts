/** Keys of a local Infino, and the check of every request against them. */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { EtlError } from '../errors.js'
import { parseAuthorization, verifySignature } from '../http/sigv4.js'
import { ApiError } from './reply.js'

export interface LocalKeys {
  readonly accessKey: string
  readonly secretKey: string
}

const KEYS_FILE = 'keys.json'
/** As AWS: a request is valid a quarter of an hour to either side of its date. */
const SKEW_MS = 15 * 60_000

/**
 * The keys of a directory, made on first use and kept in `keys.json`, which only its owner may read.
 * Two processes that start together agree on one pair.
 */
export function localKeys(dir: string): LocalKeys {
  mkdirSync(dir, { recursive: true })
  const path = join(dir, KEYS_FILE)
  const known = readKeys(path)
  if (known !== undefined) return known
  const keys: LocalKeys = {
    accessKey: `IAK_${randomBytes(10).toString('hex').toUpperCase()}`,
    secretKey: randomBytes(30).toString('base64url'),
  }
  const own = `${path}.${randomBytes(6).toString('hex')}`
  writeFileSync(own, `${JSON.stringify(keys, undefined, 2)}\n`, { mode: 0o600 })
  chmodSync(own, 0o600)
  try {
    // Unlike a rename, a link never replaces the keys that another process has just made.
    linkSync(own, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    rmSync(own, { force: true })
  }
  return readKeys(path) ?? keys
}

function readKeys(path: string): LocalKeys | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    const { accessKey, secretKey } = JSON.parse(text) as Partial<LocalKeys>
    if (
      typeof accessKey === 'string' &&
      accessKey !== '' &&
      typeof secretKey === 'string' &&
      secretKey !== ''
    )
      return { accessKey, secretKey }
  } catch {
    // Told below, without quoting what may be a secret.
  }
  throw new EtlError(
    'ETL_LOCAL_KEYS',
    `expected ${path} to hold {"accessKey","secretKey"}; delete it to have new keys made`,
    { context: { file: path } },
  )
}

/** Throws 401 unless the request is signed with these keys and fresh. The body's hash is left to the reader of the body. */
export function authenticate(request: IncomingMessage, keys: LocalKeys, nowMs: number): void {
  const header = request.headers.authorization
  if (header === undefined) throw unauthorized('Missing Authorization header: sign the request')
  const authorization = parseAuthorization(header)
  if (authorization === undefined) throw unauthorized('Authorization is no AWS4-HMAC-SHA256 signature')
  if (!same(authorization.accessKey, keys.accessKey)) throw unauthorized('Unknown access key')
  const date = request.headers['x-amz-date']
  const timeMs = typeof date === 'string' ? parseAmzDate(date) : undefined
  if (timeMs === undefined) throw unauthorized('x-amz-date is missing or not of the form YYYYMMDDTHHMMSSZ')
  if (Math.abs(nowMs - timeMs) > SKEW_MS)
    throw unauthorized('Signature expired: x-amz-date is more than 15 minutes from the time of the server')
  const valid = verifySignature({
    method: request.method ?? 'GET',
    target: request.url ?? '/',
    header: (name) => {
      const value = request.headers[name]
      return Array.isArray(value) ? value.join(',') : value
    },
    authorization,
    secretKey: keys.secretKey,
  })
  if (!valid) throw unauthorized('Invalid signature')
}

function unauthorized(reason: string): ApiError {
  return new ApiError(401, 'unauthorized', reason)
}

function parseAmzDate(text: string): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text)
  if (match === null) return undefined
  const time = Date.parse(`${match[1]}-${match[2]}-${match[3]}T${match[4]}:${match[5]}:${match[6]}Z`)
  return Number.isNaN(time) ? undefined : time
}

function same(given: string, expected: string): boolean {
  const a = Buffer.from(given)
  const b = Buffer.from(expected)
  return a.length === b.length && timingSafeEqual(a, b)
}
