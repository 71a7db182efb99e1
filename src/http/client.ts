/**
 * The only way out over HTTP: one request in, one whole answer or one `EtlError` out. It does not try again,
 * follows no redirect, and bounds every wait and every byte. What may be tried again is in the error's verdict;
 * `context.unsent` is true where the request provably never left.
 *
 *     const http = httpClient({ auth })
 *     const answer = await http.request({ method: 'GET', url: new URL('https://api.example/rows') })
 */
import { Readable } from 'node:stream'
import type { Agent, Dispatcher } from 'undici'
import type { Clock, RunContext, Verdict } from '../contracts.js'
import { abortError, EtlError, isEtlError, messageOf, throwIfAborted } from '../errors.js'
import { systemClock } from '../internal/clock.js'
import { wholeNumber } from '../internal/options.js'
import type { Auth } from './auth.js'
import { decodeBody, readBody } from './body.js'
import { oneLine, reasonOf } from './error-body.js'
import { type Mask, maskError, maskFor } from './redact.js'
import { retryAfterMs } from './retry-after.js'

export interface HttpOptions {
  /** Time to reach the server, in milliseconds. Default 10,000. */
  readonly connectTimeoutMs?: number | undefined
  /** Time from sending to the answer's headers, exact to a second. Default 180,000. */
  readonly headersTimeoutMs?: number | undefined
  /** Time between two pieces of the answer's body, exact to a second. Default 60,000. */
  readonly bodyTimeoutMs?: number | undefined
  /** Time for the whole request. Default 300,000. */
  readonly totalTimeoutMs?: number | undefined
  /** Bytes of an answer, before and after decompression. Default 67,108,864 (64 MiB). */
  readonly responseBytes?: number | undefined
  /** Connections per origin. Default 16. */
  readonly connections?: number | undefined
}

export interface HttpClientOptions extends HttpOptions {
  readonly auth?: Auth | undefined
  readonly clock?: Clock | undefined
}

export interface HttpRequest {
  readonly method: string
  readonly url: URL
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Bytes, or a function that makes the pieces anew; then `bodyBytes` says how many there will be. */
  readonly body?: Uint8Array | (() => AsyncIterable<Uint8Array>) | undefined
  readonly bodyBytes?: number | undefined
  /** Verdicts for statuses where they differ from `verdictFor`. */
  readonly verdicts?: Readonly<Record<number, Verdict>> | undefined
}

export interface HttpResponse {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}

export interface HttpClient {
  /**
   * Resolves for 2xx. Rejects with `ETL_HTTP_STATUS`, `ETL_HTTP_REDIRECT`, `ETL_HTTP_CONNECT`,
   * `ETL_HTTP_TRANSPORT`, `ETL_HTTP_TIMEOUT`, `ETL_HTTP_TOO_LARGE`, `ETL_HTTP_ENCODING` or `ETL_ABORTED`.
   */
  readonly request: (request: HttpRequest, context?: RunContext) => Promise<HttpResponse>
  /** Masks this client's secrets in any text. */
  readonly mask: Mask
  /** Drops the connections; a later request opens new ones. */
  readonly close: () => Promise<void>
}

const AGAIN = new Set([408, 425, 429, 500, 502, 503, 504])

/** What a status says about trying again. */
export function verdictFor(status: number): Verdict {
  return AGAIN.has(status) ? 'again' : status === 413 ? 'split' : 'never'
}

export function httpClient(options: HttpClientOptions = {}): HttpClient {
  const connectTimeoutMs = wholeNumber('connectTimeoutMs', options.connectTimeoutMs, 10_000)
  const headersTimeoutMs = wholeNumber('headersTimeoutMs', options.headersTimeoutMs, 180_000)
  const bodyTimeoutMs = wholeNumber('bodyTimeoutMs', options.bodyTimeoutMs, 60_000)
  const totalTimeoutMs = wholeNumber('totalTimeoutMs', options.totalTimeoutMs, 300_000)
  const responseBytes = wholeNumber('responseBytes', options.responseBytes, 64 * 1024 * 1024)
  const connections = wholeNumber('connections', options.connections, 16)
  const clock = options.clock ?? systemClock
  const auth = options.auth
  const mask = maskFor(auth?.secrets ?? [])
  let agent: Promise<Agent> | undefined

  /** Loading undici takes longer than starting the rest of the library, and a dry run never needs it. */
  const openAgent = async (): Promise<Agent> => {
    const { Agent } = await import('undici')
    return new Agent({
      connections,
      connect: { timeout: connectTimeoutMs },
      headersTimeout: headersTimeoutMs,
      bodyTimeout: bodyTimeoutMs,
    })
  }

  const send = async (opened: Agent, request: HttpRequest, signal: AbortSignal): Promise<HttpResponse> => {
    const { url, method, body } = request
    const streamed = typeof body === 'function'
    const headers: Record<string, string> = { accept: 'application/json', ...request.headers }
    if (streamed && request.bodyBytes !== undefined) headers['content-length'] = String(request.bodyBytes)
    if (auth !== undefined && url.origin === auth.origin) {
      const payload = streamed ? undefined : body
      Object.assign(headers, auth.headers({ method, url, headers, payload, streamed, timeMs: clock.now() }))
    }
    const response = await opened.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method: method as Dispatcher.HttpMethod,
      headers,
      body: streamed ? Readable.from(body()) : (body ?? null),
      signal,
    })
    const raw = await readBody(response.body, responseBytes)
    const decoded = await decodeBody(raw, response.headers['content-encoding'], responseBytes)
    return { status: response.statusCode, headers: response.headers, body: decoded }
  }

  /** The same request under one signal for the run's end and the total time. */
  const sendInTime = async (request: HttpRequest, run: AbortSignal | undefined): Promise<HttpResponse> => {
    agent ??= openAgent()
    const opened = await agent
    throwIfAborted(run)
    const cut = new AbortController()
    const done = new AbortController()
    const stop = () => cut.abort()
    run?.addEventListener('abort', stop, { once: true })
    systemClock.sleep(totalTimeoutMs, done.signal).then(
      () => cut.abort(),
      () => {},
    )
    try {
      return await send(opened, request, cut.signal)
    } catch (error) {
      if (run?.aborted) throw abortError(run)
      if (cut.signal.aborted) throw timeout('total', totalTimeoutMs, error)
      throw error
    } finally {
      run?.removeEventListener('abort', stop)
      done.abort()
    }
  }

  /** Any failure as one of ours, with the request named and nothing secret in it. */
  const failure = (error: unknown, name: string): EtlError => {
    const own = isEtlError(error) ? error : transportError(error)
    if (own.code === 'ETL_ABORTED') return own
    maskError(own.cause, mask)
    return new EtlError(own.code, `${name}: ${mask(own.message)}`, {
      verdict: own.verdict,
      retryAfterMs: own.retryAfterMs,
      cause: own.cause,
      context: { ...own.context, request: name },
    })
  }

  return {
    mask,
    async request(request, context = {}) {
      throwIfAborted(context.signal)
      const name = mask(nameOf(request))
      const started = clock.now()
      const log = (fields: Record<string, unknown>, outcome: string) =>
        context.log?.debug(`${name}: ${outcome} in ${clock.now() - started} ms`, {
          request: name,
          ms: clock.now() - started,
          ...fields,
        })
      try {
        const response = await sendInTime(request, context.signal)
        const { status } = response
        if (status < 200 || status > 299) throw statusError(request, response, clock.now())
        log({ status, sentBytes: bytesOf(request), receivedBytes: response.body.length }, String(status))
        return response
      } catch (error) {
        const translated = failure(error, name)
        const { status } = translated.context
        log({ status, code: translated.code, sentBytes: bytesOf(request) }, String(status ?? translated.code))
        throw translated
      }
    },
    async close() {
      // Requests have settled or were aborted by their signal; only idle connections are left.
      const opened = agent
      agent = undefined
      await (await opened)?.destroy()
    },
  }
}

/** Method and URL without user, query and fragment, where secrets may be. */
function nameOf({ method, url }: HttpRequest): string {
  return `${method} ${url.origin}${url.pathname}`
}

function bytesOf({ body, bodyBytes }: HttpRequest): number | undefined {
  return typeof body === 'function' ? bodyBytes : (body?.length ?? 0)
}

function statusError(request: HttpRequest, response: HttpResponse, nowMs: number): EtlError {
  const { status, headers } = response
  if (status >= 300 && status < 400) {
    const target = originOf(headers.location, request.url)
    return new EtlError(
      'ETL_HTTP_REDIRECT',
      `expected an answer, got status ${status} to ${target}: redirects are not followed, use the final address`,
      {
        context: { status },
      },
    )
  }
  const asked = headers['retry-after']
  return new EtlError('ETL_HTTP_STATUS', `status ${status}: ${reasonOf(textOf(response.body))}`, {
    verdict: request.verdicts?.[status] ?? verdictFor(status),
    retryAfterMs: retryAfterMs(typeof asked === 'string' ? asked : undefined, nowMs),
    context: { status },
  })
}

/** Enough of a body to find the reason in it. */
function textOf(body: Buffer): string {
  return body.toString('utf8', 0, 64 * 1024)
}

function originOf(location: unknown, base: URL): string {
  if (typeof location !== 'string' || !URL.canParse(location, base.href)) return 'nowhere'
  return new URL(location, base).origin
}

function timeout(which: string, ms: number | undefined, cause: unknown): EtlError {
  const limit = ms === undefined ? 'in time' : `within ${ms} ms`
  const unsent = which === 'connect' ? { unsent: true } : {}
  return new EtlError('ETL_HTTP_TIMEOUT', `no complete answer ${limit} (option ${which}TimeoutMs)`, {
    verdict: 'again',
    cause,
    context: { timeout: which, ...unsent },
  })
}

const NOT_REACHED = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
])

function transportError(error: unknown): EtlError {
  const code = codeOf(error)
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return timeout('connect', undefined, error)
  if (code === 'UND_ERR_HEADERS_TIMEOUT') return timeout('headers', undefined, error)
  if (code === 'UND_ERR_BODY_TIMEOUT') return timeout('body', undefined, error)
  const said = oneLine(messageOf(error))
  const detail = code === undefined || said.includes(code) ? said : `${said} (${code})`
  if (code !== undefined && NOT_REACHED.has(code)) {
    return new EtlError(
      'ETL_HTTP_CONNECT',
      `cannot reach the server: ${detail}; is the address right, and is it running?`,
      {
        verdict: 'again',
        cause: error,
        context: { unsent: true },
      },
    )
  }
  if (code !== undefined && /CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO|EPROTO/.test(code)) {
    return new EtlError('ETL_HTTP_CONNECT', `no trusted connection to the server: ${detail}`, {
      cause: error,
      context: { unsent: true },
    })
  }
  const verdict = code?.startsWith('UND_ERR_INVALID') || error instanceof TypeError ? 'never' : 'again'
  return new EtlError(
    'ETL_HTTP_TRANSPORT',
    `the connection failed before the answer was complete: ${detail}`,
    {
      verdict,
      cause: error,
    },
  )
}

/** The code of an error; of an attempt at several addresses the first one's. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const { code } = error as { code?: unknown }
  if (typeof code === 'string') return code
  return error instanceof AggregateError ? codeOf((error.errors as unknown[])[0]) : undefined
}
