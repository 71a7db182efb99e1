/**
 * The typed client of Infino's API.
 *
 *     const infino = infinoClient({ endpoint: 'http://127.0.0.1:8000', accessKey, secretKey })
 *     await infino.datasets.create('orders')
 *     const { rows } = await infino.sql('SELECT count(*) AS n FROM orders')
 *     await infino.close()
 *
 * Questions, and changes that may safely be made twice, are tried again as `retry` says. `upload` and
 * `importFile` are sent once: whoever knows what the rows are decides what to send again.
 */
import type { Json, RunContext } from '../contracts.js'
import { EtlError, isEtlError } from '../errors.js'
import { sigv4Auth } from '../http/auth.js'
import { type HttpRequest, httpClient } from '../http/client.js'
import { encodePart } from '../http/sigv4.js'
import { nonEmptyString, wholeNumber } from '../internal/options.js'
import { stringifyJson } from '../json.js'
import { retry, retryPolicy } from '../retry.js'
import { bulkFailures } from './bulk.js'
import { DEFAULT_ENDPOINT, endpointOf, keyOf } from './connection.js'
import { importRun } from './imports.js'
import { type MultipartFile, multipart } from './multipart.js'
import { datasetName } from './names.js'
import { arrayOf, deletedOf, masked, metadataOf, objectOf, parseReply, totalOf } from './replies.js'
import { sqlResult } from './sql-rows.js'
import type { ImportFileRequest, InfinoClient, InfinoOptions } from './types.js'

const JSON_TYPE = { 'content-type': 'application/json' }
const FILE_TYPES = {
  json: 'application/json',
  jsonl: 'application/x-ndjson',
  csv: 'text/csv',
  auto: 'application/octet-stream',
} as const

export function infinoClient(options: InfinoOptions = {}): InfinoClient {
  const base = endpointOf(options.endpoint ?? (process.env.INFINO_ENDPOINT || DEFAULT_ENDPOINT))
  const auth = sigv4Auth(
    base.origin,
    keyOf('accessKey', 'INFINO_ACCESS_KEY', options.accessKey),
    keyOf('secretKey', 'INFINO_SECRET_KEY', options.secretKey),
  )
  const http = httpClient({ ...options.http, auth, clock: options.clock })
  const policy = retryPolicy(options.retry)
  const world = { clock: options.clock, random: options.random }
  const endpoint = base.href.replace(/\/+$/, '')

  const once = async (
    method: string,
    path: string,
    request: Partial<HttpRequest> = {},
    context?: RunContext,
  ): Promise<Buffer> => {
    try {
      const url = new URL(`${endpoint}/${path}`)
      return (await http.request({ method, url, ...request }, context)).body
    } catch (error) {
      throw explained(error)
    }
  }

  /** Parses an answer; what is inside it may come from anywhere, so messages about it are masked. */
  const read = <T>(body: Buffer, decode: (reply: unknown) => T): T =>
    masked(http.mask, () => decode(parseReply(body)))

  const again = <T>(task: (attempt: number) => Promise<T>, context: RunContext | undefined): Promise<T> =>
    retry(task, policy, { ...world, signal: context?.signal })

  const get = <T>(path: string, decode: (reply: unknown) => T, context?: RunContext): Promise<T> =>
    again(async () => read(await once('GET', path, {}, context), decode), context)

  const post = <T>(path: string, body: Json, decode: (reply: unknown) => T, context?: RunContext) =>
    again(async () => read(await once('POST', path, jsonBody(body), context), decode), context)

  /** For what must not be done twice: only a try that did nothing is repeated. */
  const careful = <T>(task: () => Promise<T>, context: RunContext | undefined): Promise<T> =>
    again(async () => {
      try {
        return await task()
      } catch (error) {
        throw provablyUndone(error) ? error : final(error)
      }
    }, context)

  return {
    endpoint,
    mask: http.mask,
    ping: (context) => get('', (reply) => reply as Json, context),
    datasets: {
      list: (context) => get('metadata', arrayOf, context),
      create: async (dataset, context) => {
        const path = datasetName(dataset)
        return again(async () => {
          try {
            await once('PUT', path, {}, context)
            return { existed: false }
          } catch (error) {
            if (statusOf(error) === 409) return { existed: true }
            throw error
          }
        }, context)
      },
      delete: async (dataset, context) => {
        const path = datasetName(dataset)
        return again(async (attempt) => {
          try {
            await once('DELETE', path, {}, context)
          } catch (error) {
            if (attempt === 1 || statusOf(error) !== 404) throw error
          }
        }, context)
      },
      metadata: async (dataset, context) => get(`${datasetName(dataset)}/metadata`, metadataOf, context),
      schema: async (dataset, context) =>
        get(`${datasetName(dataset)}/_schema`, (reply) => reply as Json, context),
    },
    async upload(dataset, body, count, context) {
      const headers = { 'content-type': 'application/x-ndjson' }
      const path = `${datasetName(dataset)}/json`
      // A whole body refused as malformed has a culprit among its rows, which halving finds.
      const reply = await once('POST', path, { headers, body, verdicts: { 400: 'split' } }, context)
      return masked(http.mask, () =>
        bulkFailures(reply, count).map((failure) => ({ ...failure, reason: http.mask(failure.reason) })),
      )
    },
    async importFile(request, context) {
      const form = multipart(
        {
          index_name: datasetName(request.dataset),
          format: request.format,
          ...(request.batchRows === undefined
            ? {}
            : { batch_size: String(wholeNumber('batchRows', request.batchRows, 1)) }),
        },
        fileOf(request),
      )
      const path = `import/file?async=${request.async === true}`
      const headers = { 'content-type': form.contentType }
      const sent = { headers, body: form.body, bodyBytes: form.bytes }
      return read(await once('POST', path, sent, context), importRun)
    },
    job: async (runId, context) =>
      get(`_connectors/jobs/${encodePart(nonEmptyString('runId', runId))}`, importRun, context),
    async record(dataset, id, context) {
      const path = `${datasetName(dataset)}/doc/${encodePart(nonEmptyString('id', id))}`
      try {
        const found = await get(path, objectOf, context)
        return found.found === false ? undefined : found
      } catch (error) {
        if (statusOf(error) === 404) return undefined
        throw error
      }
    },
    queryDsl: async (dataset, query, context) =>
      post(`${datasetName(dataset)}/querydsl`, query, objectOf, context),
    async sql(query, context) {
      nonEmptyString('query', query)
      if (isReading(query)) return post('sql', { query }, sqlResult, context)
      return careful(
        async () => read(await once('POST', 'sql', jsonBody({ query }), context), sqlResult),
        context,
      )
    },
    count: async (dataset, context) =>
      post(
        `${datasetName(dataset)}/querydsl`,
        { query: { match_all: {} }, size: 0, track_total_hits: true },
        totalOf,
        context,
      ),
    deleteByQuery: async (dataset, query, context) => {
      const path = datasetName(dataset)
      return careful(
        async () => read(await once('PATCH', path, jsonBody(query), context), deletedOf),
        context,
      )
    },
    close: () => http.close(),
  }
}

/** Adds what to do to the statuses that have a usual cause. */
function explained(error: unknown): unknown {
  if (!isEtlError(error) || error.code !== 'ETL_HTTP_STATUS') return error
  const { status } = error.context
  const remake = (code: string, hint: string) =>
    new EtlError(code, `${error.message}${hint}`, {
      verdict: error.verdict,
      context: error.context,
      cause: error.cause,
      retryAfterMs: error.retryAfterMs,
    })
  if (status === 401) return remake('ETL_INFINO_UNAUTHORIZED', '; check access key, secret key and the clock')
  if (status === 403) return remake('ETL_INFINO_FORBIDDEN', '; these keys may not do this')
  if (status === 404) return remake('ETL_INFINO_NOT_FOUND', '')
  return error
}

function statusOf(error: unknown): number | undefined {
  return isEtlError(error) ? error.context.status : undefined
}

/** Whether the request never left, or the server said that it refused it for now. */
export function provablyUndone(error: unknown): boolean {
  if (!isEtlError(error)) return false
  const { unsent, status } = error.context
  return unsent === true || status === 429 || status === 503
}

function final(error: unknown): unknown {
  if (!isEtlError(error) || error.verdict === 'never') return error
  return new EtlError(error.code, `${error.message}; it may have taken effect, so it is not tried again`, {
    context: error.context,
    cause: error.cause,
  })
}

/** In doubt a statement writes. */
function isReading(query: string): boolean {
  const first = /^[\s(]*([a-z]+)/i.exec(query)?.[1]?.toLowerCase() ?? ''
  if (first === 'with') return !/\b(insert|update|upsert|delete|merge|replace)\b/i.test(query)
  return ['select', 'show', 'describe', 'explain'].includes(first)
}

function jsonBody(body: Json): Partial<HttpRequest> {
  return { headers: JSON_TYPE, body: Buffer.from(stringifyJson(body)) }
}

function fileOf(request: ImportFileRequest): MultipartFile {
  return {
    name: request.fileName ?? `data.${request.format === 'auto' ? 'bin' : request.format}`,
    contentType: FILE_TYPES[request.format],
    content: request.file,
    bytes: request.fileBytes,
  }
}
