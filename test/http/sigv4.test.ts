import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  amzDate,
  canonicalPaths,
  canonicalQueries,
  canonicalRequest,
  EMPTY_HASH,
  encodePart,
  parseAuthorization,
  payloadHash,
  signingKey,
  signRequest,
  stringToSign,
  UNSIGNED_PAYLOAD,
  verifySignature,
} from '../../src/http/sigv4.js'

interface Vector {
  readonly name: string
  readonly access_key: string
  readonly secret_key: string
  readonly timestamp: string
  readonly method: string
  readonly url_signed: string
  readonly url_on_wire: string
  readonly body: string | null
  readonly body_sha256: string | null
  readonly multipart: boolean
  readonly headers: Readonly<Record<string, string>>
  readonly canonical_request: string
  readonly string_to_sign: string
  readonly signing_key_hex: string
  readonly authorization: string
  readonly matches_standard_sigv4_on_wire_url: boolean
}

const fixture = new URL('../fixtures/sigv4-vectors.json', import.meta.url)
const vectors = (JSON.parse(readFileSync(fixture, 'utf8')) as { vectors: Vector[] }).vectors
const scope = { date: '20250115', region: 'us-east-1', service: 'es' }

/**
 * The vectors whose signature follows from the SDK's own reading of the URL, with the request line we send
 * for the same intent and what we sign in it.
 */
const departures: Record<string, { why: string; send: string; path: string; query: string }> = {
  'unicode-path': {
    why: 'the SDK signs the raw path while the wire carries it encoded; we sign what the wire carries',
    send: '/my-dataset/doc/na%C3%AFve-%CE%A9%201',
    path: '/my-dataset/doc/na%C3%AFve-%CE%A9%201',
    query: '',
  },
  'preencoded-path': {
    why: 'the SDK signs the wire path as it is, and so do we; stock signers would encode it once more',
    send: '/my-dataset/doc/na%C3%AFve-%CE%A9%201',
    path: '/my-dataset/doc/na%C3%AFve-%CE%A9%201',
    query: '',
  },
  'path-with-plus-and-semicolon': {
    why: 'the SDK cuts `;v=1` off before signing; we encode plus, semicolon and equals sign, and sign that',
    send: '/my-dataset/doc/a%2Bb%3Bv%3D1',
    path: '/my-dataset/doc/a%2Bb%3Bv%3D1',
    query: '',
  },
  'query-in-url-preencoded': {
    why: 'the SDK encodes encoded values again; we decode first, so values are encoded once as the standard says',
    send: '/x?b=a%20b&a=%C3%A9&empty=&flag',
    path: '/x',
    query: 'a=%C3%A9&b=a%20b&empty=&flag=',
  },
  'query-duplicate-keys': {
    why: 'the SDK keeps the order of equal names; we sort them by value as the standard says',
    send: '/x?a=2&a=1&A=0',
    path: '/x',
    query: 'A=0&a=1&a=2',
  },
  'params-not-signed': {
    why: 'the SDK leaves the query unsigned, so that anyone could change it; we sign it',
    send: '/visualizations?limit=50&offset=10',
    path: '/visualizations',
    query: 'limit=50&offset=10',
  },
  'multipart-unicode-params': {
    why: 'the SDK encodes the query twice; we sign it encoded once, as it is sent',
    send: '/import/file?async=true&tag=z%C3%BCrich%20%26%20co',
    path: '/import/file',
    query: 'async=true&tag=z%C3%BCrich%20%26%20co',
  },
}

/** The headers of a vector that are signed: multipart requests get their content type afterwards. */
function signedInput(vector: Vector): Record<string, string> {
  const { 'Content-Type': contentType, Host: host } = vector.headers
  return { Host: host!, ...(contentType && !vector.multipart ? { 'Content-Type': contentType } : {}) }
}

function sign(vector: Vector, url: string) {
  return signRequest({
    method: vector.method,
    url: new URL(url),
    headers: signedInput(vector),
    payloadHash: vector.multipart ? UNSIGNED_PAYLOAD : payloadHash(vector.body ?? ''),
    accessKey: vector.access_key,
    secretKey: vector.secret_key,
    timeMs: Date.UTC(2025, 0, 15, 10, 30),
  })
}

function targetOf(url: string): string {
  return url.replace(/^[a-z]+:\/\/[^/]*/, '')
}

function verify(
  vector: Vector,
  target: string,
  headers: Record<string, string>,
  secretKey = vector.secret_key,
) {
  const lower = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  const authorization = parseAuthorization(lower.get('authorization') ?? '')
  if (authorization === undefined) return false
  return verifySignature({
    method: vector.method,
    target,
    header: (name) => lower.get(name),
    authorization,
    secretKey,
  })
}

describe('the vectors of the official SDK', () => {
  it('are 31, of which exactly the named seven depart from the standard', () => {
    expect(vectors).toHaveLength(31)
    const named = vectors.filter((v) => !v.matches_standard_sigv4_on_wire_url).map((v) => v.name)
    expect(Object.keys(departures).sort()).toEqual(named.sort())
  })

  for (const vector of vectors) {
    const departure = departures[vector.name]

    it(`${vector.name}: string to sign, key and header follow from the canonical request`, () => {
      const [method, path, query, ...rest] = vector.canonical_request.split('\n')
      const hash = rest.pop()!
      rest.splice(-2)
      const headers = rest.map((line) => {
        const at = line.indexOf(':')
        return [line.slice(0, at), line.slice(at + 1)] as const
      })
      const parts = { method: method!, path: path!, query: query!, headers, payloadHash: hash }
      expect(canonicalRequest(parts)).toBe(vector.canonical_request)
      expect(stringToSign(vector.timestamp, scope, canonicalRequest(parts))).toBe(vector.string_to_sign)
      expect(signingKey(vector.secret_key, scope).toString('hex')).toBe(vector.signing_key_hex)
    })

    it(`${vector.name}: the verifier accepts what the SDK sent, and nothing near it`, () => {
      const target = targetOf(vector.url_on_wire)
      const sent = { ...vector.headers, Authorization: vector.authorization }
      expect(verify(vector, target, sent)).toBe(true)
      expect(verify(vector, target, sent, 'another secret')).toBe(false)
      expect(verify(vector, `/other${target}`, sent)).toBe(false)
      expect(verify(vector, target, { ...sent, Host: 'elsewhere.example' })).toBe(false)
      expect(verify(vector, target, { ...sent, 'X-Amz-Content-Sha256': payloadHash('other') })).toBe(false)
      expect(verify({ ...vector, method: 'OPTIONS' }, target, sent)).toBe(false)
    })

    if (departure === undefined) {
      it(`${vector.name}: we send the very same signature`, () => {
        const signed = sign(vector, vector.url_on_wire)
        expect(signed.authorization).toBe(vector.authorization)
        expect(signed['x-amz-date']).toBe(vector.timestamp)
        expect(signed['x-amz-content-sha256']).toBe(vector.headers['X-Amz-Content-Sha256'])
        expect(signed.host).toBe(vector.headers.Host)
      })
    } else {
      it(`${vector.name}: ${departure.why}`, () => {
        const url = new URL(departure.send, vector.url_on_wire)
        expect(url.pathname + url.search).toBe(departure.send)
        const signed = sign(vector, url.href)
        const headers = { ...signedInput(vector), ...signed }
        expect(verify(vector, departure.send, headers)).toBe(true)
        const lines = vector.canonical_request.split('\n')
        lines[1] = departure.path
        lines[2] = departure.query
        const text = stringToSign(vector.timestamp, scope, lines.join('\n'))
        const authorization = parseAuthorization(signed.authorization!)!
        expect(payloadHash(lines.join('\n'))).toBe(text.split('\n')[3])
        expect(authorization.signature).toBe(hmacHex(vector, text))
        expect(canonicalPaths(departure.send.split('?')[0]!)[0]).toBe(departure.path)
        expect(canonicalQueries(departure.send.split('?')[1] ?? '')[0]).toBe(departure.query)
      })
    }
  }
})

function hmacHex(vector: Vector, text: string): string {
  const { createHmac } = process.getBuiltinModule('node:crypto')
  return createHmac('sha256', Buffer.from(vector.signing_key_hex, 'hex')).update(text).digest('hex')
}

describe('signing', () => {
  it('signs the host of the URL where none is given, brackets and unusual ports included', () => {
    const base = { method: 'GET', payloadHash: EMPTY_HASH, accessKey: 'a', secretKey: 's', timeMs: 0 }
    expect(signRequest({ ...base, url: new URL('http://[::1]:8000/') }).host).toBe('[::1]:8000')
    expect(signRequest({ ...base, url: new URL('http://localhost:443/') }).host).toBe('localhost:443')
    expect(signRequest({ ...base, url: new URL('https://localhost:443/') }).host).toBe('localhost')
  })

  it('dates and hashes as the protocol writes them', () => {
    expect(amzDate(Date.UTC(2025, 0, 15, 10, 30, 0, 987))).toBe('20250115T103000Z')
    expect(payloadHash('')).toBe(EMPTY_HASH)
  })

  it('gives a signature that verifies for any path part, query and body', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 20 })
    fc.assert(
      fc.property(text, fc.array(fc.tuple(text, text), { maxLength: 4 }), text, (part, pairs, body) => {
        const query = pairs.map(([name, value]) => `${encodePart(name)}=${encodePart(value)}`).join('&')
        const url = new URL(`http://127.0.0.1:9/d/doc/x${encodePart(part)}${query ? `?${query}` : ''}`)
        const vector = { ...vectors[0]!, method: 'POST' }
        const headers = signRequest({
          method: 'POST',
          url,
          payloadHash: payloadHash(body),
          accessKey: vector.access_key,
          secretKey: vector.secret_key,
          timeMs: 1,
        })
        expect(verify(vector, url.pathname + url.search, headers)).toBe(true)
      }),
    )
  })
})

describe('reading an Authorization header', () => {
  const good = vectors[0]!.authorization

  it('takes it apart', () => {
    const parsed = parseAuthorization(good)!
    expect(parsed.accessKey).toBe('IAK_EXAMPLE1234567890')
    expect(parsed.scope).toEqual(scope)
    expect(parsed.signedHeaders).toEqual(['content-type', 'host', 'x-amz-content-sha256', 'x-amz-date'])
    expect(parsed.signature).toMatch(/^[0-9a-f]{64}$/)
    expect(parseAuthorization(good.replaceAll(', ', ','))).toEqual(parsed)
  })

  it('refuses another scheme, a missing field, a scope that is none and a signature that is none', () => {
    for (const bad of [
      '',
      'Bearer x',
      good.replace('AWS4', 'AWS5'),
      good.replace('Credential', 'Cred'),
      good.replace('SignedHeaders', 'Headers'),
      good.replace('aws4_request', 'other'),
      good.slice(0, -1),
    ])
      expect(parseAuthorization(bad)).toBeUndefined()
  })

  it('does not accept a signature that leaves the host or the date out', () => {
    const vector = vectors[0]!
    const authorization = parseAuthorization(good)!
    const header = () => 'x'
    for (const signedHeaders of [['x-amz-date', 'x-amz-content-sha256'], ['host'], []])
      expect(
        verifySignature({
          method: 'GET',
          target: '/',
          header,
          authorization: { ...authorization, signedHeaders },
          secretKey: vector.secret_key,
        }),
      ).toBe(false)
  })

  it('survives malformed escapes in path and query', () => {
    expect(canonicalPaths('/%E0%A4%A')[0]).toBe('/%E0%A4%A')
    expect(canonicalQueries('a=%zz')[0]).toBe('a=%25zz')
  })
})
