/** Signed requests over real HTTP, with nothing between the test and the wire. */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { payloadHash, signRequest } from '../../src/http/sigv4.js'

export interface Target {
  readonly url: string
  readonly accessKey: string
  readonly secretKey: string
}

export interface CallOptions {
  readonly body?: string | Uint8Array | undefined
  readonly contentType?: string | undefined
  /** Default: the body's hash. */
  readonly hash?: string | undefined
  /** Default: now. */
  readonly timeMs?: number | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
}

export interface Reply {
  readonly status: number
  readonly text: string
  readonly headers: IncomingHttpHeaders
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into freely
  readonly json: any
}

export function call(
  target: Target,
  method: string,
  path: string,
  options: CallOptions = {},
): Promise<Reply> {
  const body = options.body === undefined ? undefined : Buffer.from(options.body as string)
  const url = new URL(`${target.url}${path}`)
  const typed: Record<string, string> =
    options.contentType === '' ? {} : { 'content-type': options.contentType ?? 'application/json' }
  const signed = signRequest({
    method,
    url,
    headers: typed,
    payloadHash: options.hash ?? payloadHash(body ?? ''),
    accessKey: target.accessKey,
    secretKey: target.secretKey,
    timeMs: options.timeMs ?? Date.now(),
  })
  return raw(url, method, { ...typed, ...signed, ...options.headers }, body)
}

export function raw(
  url: URL,
  method: string,
  headers: Readonly<Record<string, string>>,
  body?: Uint8Array,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(body.length) }
    const request = httpRequest(url, { method, headers: { ...length, ...headers } }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8')
        let json: unknown
        try {
          json = JSON.parse(text)
        } catch {
          // Then the text alone is looked at.
        }
        resolve({ status: response.statusCode ?? 0, text, headers: response.headers, json })
      })
    })
    request.on('error', reject)
    request.end(body)
  })
}

/** A bulk body that indexes these documents, given as JSON text or objects, under ids. */
export function indexLines(
  rows: readonly (readonly [id: string | undefined, document: string | object])[],
): string {
  return rows
    .map(
      ([id, document]) =>
        `${JSON.stringify({ index: id === undefined ? {} : { _id: id } })}\n${typeof document === 'string' ? document : JSON.stringify(document)}\n`,
    )
    .join('')
}

export const NDJSON = { contentType: 'application/x-ndjson' }

export function bulk(target: Target, dataset: string, body: string | Uint8Array): Promise<Reply> {
  return call(target, 'POST', `/${dataset}/json`, { body, ...NDJSON })
}

export function sql(target: Target, query: string): Promise<Reply> {
  return call(target, 'POST', '/sql', { body: JSON.stringify({ query }) })
}

/** The rows of an answer of `/sql`, each an object of plain values. */
export function rowsOf(reply: Reply): Record<string, unknown>[] {
  if (reply.status !== 200) throw new Error(`expected 200, got ${reply.status}: ${reply.text}`)
  return (reply.json.rows as { values: Record<string, Record<string, unknown>> }[]).map(({ values }) =>
    Object.fromEntries(Object.entries(values).map(([name, typed]) => [name, Object.values(typed)[0]])),
  )
}

/** The same with numbers as their digits stand in the answer. */
export function cellTexts(reply: Reply): string[] {
  return [
    ...reply.text.matchAll(/\{"(?:Integer|Float|String|Boolean|Null)":((?:"(?:[^"\\]|\\.)*")|[^}]*)\}/g),
  ].map((match) => match[1]!)
}

export function search(target: Target, dataset: string, query: object): Promise<Reply> {
  return call(target, 'POST', `/${dataset}/querydsl`, { body: JSON.stringify(query) })
}
