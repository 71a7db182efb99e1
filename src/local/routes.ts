/** Which request does what. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { applyBulk, bulkAnswer } from './apply.js'
import { readBody } from './body.js'
import { parseBulk } from './bulk.js'
import type { Context } from './context.js'
import { formatOf } from './decode.js'
import { columnsOf, infinoType } from './fields.js'
import type { Job } from './imports.js'
import { objectText } from './json-text.js'
import { receiveUpload } from './multipart.js'
import { ApiError, malformed, send, sendPieces } from './reply.js'
import { deleteByQuery, search } from './search.js'
import { answerSql } from './sql.js'
import type { Dataset, Store } from './store.js'

export async function handle(
  context: Context,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { store } = context
  const url = request.url ?? '/'
  const split = url.indexOf('?')
  const path = split < 0 ? url : url.slice(0, split)
  const query = new URLSearchParams(split < 0 ? '' : url.slice(split + 1))
  const parts = path.split('/').slice(1).map(decodePart)
  const method = request.method ?? 'GET'
  const [first = '', second, third] = parts
  const is = (...methods: string[]) => {
    if (!methods.includes(method))
      throw new ApiError(405, 'method_not_allowed', `${method} ${path}: expected ${methods.join(' or ')}`)
  }
  const ok = (body: string) => send(response, 200, body)

  if (path === '/') {
    is('GET', 'HEAD')
    return ok('{"version":"2025-06-30","status":"ok"}')
  }
  if (parts.length === 1) {
    if (first === 'metadata') {
      is('GET')
      const all: string[] = []
      for (const name of store.names()) all.push(await metadata(store, store.dataset(name)))
      return ok(`[${all.join(',')}]`)
    }
    if (first === 'sql') {
      is('GET', 'POST')
      return await sql(context, request, response)
    }
    if (first === '_flush') {
      is('POST')
      return ok('{"_shards":{"total":1,"successful":1,"failed":0}}')
    }
    // Nothing of it exists here: the lists are honest, everything else is refused below.
    if (first === 'sources' && method === 'GET') return ok('[]')
    refuseReserved(first, method, path)
    is('PUT', 'DELETE', 'PATCH')
    if (method === 'PUT') return await create(store, first, request, response, context)
    if (method === 'PATCH') return ok(String(await deleteRows(context, first, request)))
    await store.drop(first)
    return ok('{"acknowledged":true}')
  }
  if (first === 'import' && second === 'file' && parts.length === 2) {
    is('POST')
    return ok(await importFile(context, request, query.get('async') === 'true'))
  }
  if (first === '_connectors' && second === 'jobs' && parts.length === 3) {
    is('GET')
    return ok(JSON.stringify(await context.imports.job(third!)))
  }
  if (method === 'GET' && (path === '/import/jobs' || path === '/sources/connections')) return ok('[]')
  refuseReserved(first, method, path)
  const dataset = store.dataset(first)
  switch (parts.length === 2 ? second : parts.length === 3 && second === 'doc' ? 'doc' : undefined) {
    case 'json':
      is('POST')
      return ok(await bulk(context, dataset, request))
    case 'querydsl':
      is('GET', 'POST')
      return ok(await search(store, dataset, await json(context, request), stopSignal(context, response)))
    case 'metadata':
      is('GET')
      return ok(await metadata(store, dataset))
    case '_schema':
      is('GET')
      return ok(schema(dataset))
    case '_count':
      is('GET')
      return ok(`{"count":${await count(store, dataset)}}`)
    case 'doc':
      is('GET')
      return ok(await record(store, dataset, third!))
    default:
      throw new ApiError(404, 'resource_not_found_exception', `no such route: ${method} ${path}`)
  }
}

const GATEWAY_ONLY = new Set(
  'source sources import promql fino user users role roles visualizations dashboards _connectors'.split(' '),
)

function refuseReserved(first: string, method: string, path: string): void {
  if (GATEWAY_ONLY.has(first))
    throw new ApiError(
      501,
      'not_implemented',
      `${method} ${path}: the local Infino does not have this part of the API`,
    )
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/** Fires when the client is gone or the query's time is up. */
function stopSignal(context: Context, response: ServerResponse): AbortSignal {
  const gone = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) gone.abort()
  })
  return AbortSignal.any([gone.signal, AbortSignal.timeout(context.queryTimeoutMs)])
}

async function json(context: Context, request: IncomingMessage): Promise<unknown> {
  const text = (await readBody(request, context.bodyLimitBytes)).toString('utf8')
  if (text.trim() === '') return {}
  try {
    return JSON.parse(text)
  } catch {
    throw malformed('the body is not JSON')
  }
}

async function create(
  store: Store,
  name: string,
  request: IncomingMessage,
  response: ServerResponse,
  context: Context,
): Promise<void> {
  // Mappings are accepted and not needed: columns follow the documents.
  await readBody(request, context.bodyLimitBytes)
  if (!(await store.create(name)))
    throw new ApiError(409, 'resource_already_exists_exception', `the dataset ${name} exists`)
  send(response, 200, JSON.stringify({ acknowledged: true, shards_acknowledged: true, index: name }))
}

async function bulk(context: Context, dataset: Dataset, request: IncomingMessage): Promise<string> {
  const begun = performance.now()
  const actions = parseBulk(await readBody(request, context.bodyLimitBytes), dataset.name)
  const applied = await context.store.write(
    (connection) => applyBulk(context.store, connection, dataset, actions),
    actions.bytes,
  )
  return bulkAnswer(dataset.name, actions, applied, Math.round(performance.now() - begun))
}

async function deleteRows(context: Context, name: string, request: IncomingMessage): Promise<number> {
  const dataset = context.store.dataset(name)
  const query = await json(context, request)
  return await context.store.write((connection) =>
    deleteByQuery(connection, context.store.current(dataset), query),
  )
}

async function sql(context: Context, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await json(context, request)
  const query = (body as { query?: unknown } | null)?.query
  if (typeof query !== 'string') throw malformed('expected {"query":"SELECT ..."}')
  await answerSql(context.store, query, stopSignal(context, response), (pieces) =>
    sendPieces(response, pieces),
  )
}

async function importFile(context: Context, request: IncomingMessage, later: boolean): Promise<string> {
  const { imports, store } = context
  const path = imports.newPath()
  const upload = await receiveUpload(request, path, context.uploadLimitBytes)
  const file = await imports.checked(path, () => {
    const name = upload.fields.get('index_name')
    if (name === undefined || name === '') throw malformed('the field index_name is missing')
    if (upload.fileName === undefined) throw malformed('the part file is missing')
    const format = formatOf(upload.fields.get('format') ?? 'auto', upload.fileName)
    return { dataset: store.dataset(name), path, format, bytes: upload.bytes }
  })
  const { job, finished } = await imports.submit(file)
  if (later)
    return JSON.stringify({
      connector_id: 'file',
      run_id: job.run_id,
      status: 'submitted',
      message: 'the file is being imported',
      stats: null,
      errors: [],
    })
  return JSON.stringify(importAnswer(await finished))
}

function importAnswer(job: Job): object {
  const { errors, ...stats } = job.stats
  const { documents_processed: stored, documents_failed: failed } = stats
  return {
    connector_id: 'file',
    run_id: job.run_id,
    status: job.status,
    message: job.error_message ?? `${stored} documents stored, ${failed} refused`,
    stats,
    errors: job.error_message === null ? errors : [job.error_message, ...errors],
  }
}

async function count(store: Store, dataset: Dataset): Promise<string> {
  return await store.read(async (connection) => {
    const rows = await connection.runAndReadAll(`SELECT count(*) FROM ${dataset.table}`)
    return String(rows.getRows()[0]![0])
  })
}

async function metadata(store: Store, dataset: Dataset): Promise<string> {
  const [docs, bytes] = await store.read(async (connection) => {
    const rows = await connection.runAndReadAll(
      `SELECT (SELECT count(*) FROM ${dataset.table}),
              (SELECT count(DISTINCT block_id) FILTER (block_id >= 0) * 262144 FROM pragma_storage_info('${dataset.table}'))`,
    )
    return rows.getRows()[0]!
  })
  const size = humanSize(Number(bytes))
  return JSON.stringify({
    health: 'green',
    status: 'open',
    index: dataset.name,
    uuid: dataset.uuid,
    pri: '1',
    rep: '0',
    'docs.count': String(docs),
    'docs.deleted': '0',
    'store.size': size,
    'pri.store.size': size,
  })
}

function humanSize(bytes: number): string {
  let size = bytes
  let unit = 0
  while (size >= 1024 && unit < 3) {
    size /= 1024
    unit += 1
  }
  return `${Number(size.toFixed(1))}${['b', 'kb', 'mb', 'gb'][unit]}`
}

function schema(dataset: Dataset): string {
  const columns = new Map(columnsOf(dataset.fields).map(({ field, column }) => [field, column]))
  return objectText(
    [...dataset.fields].map(([field, kinds]) => {
      const column = columns.get(field)
      const renamed = column === field ? undefined : (column ?? null)
      return [field, JSON.stringify({ source: 'Logs', infino_type: infinoType(kinds), column: renamed })]
    }),
  )
}

async function record(store: Store, dataset: Dataset, id: string): Promise<string> {
  const rows = await store.read(async (connection) =>
    (
      await connection.runAndReadAll(`SELECT version, rowid, body FROM ${dataset.table} WHERE id = $1`, [id])
    ).getRows(),
  )
  const row = rows[0]
  if (row === undefined)
    throw new ApiError(404, 'document_missing_exception', `[${id}]: no such row in ${dataset.name}`)
  return `{"_index":${JSON.stringify(dataset.name)},"_id":${JSON.stringify(id)},"_version":${row[0]},"_seq_no":${row[1]},"_primary_term":1,"found":true,"_source":${row[2]}}`
}
