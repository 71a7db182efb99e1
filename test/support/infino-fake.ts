/**
 * A small Infino in memory, on 127.0.0.1, that misbehaves on request. It checks signatures, keeps rows by id,
 * and notes every request. For tests of clients; what it stores can be looked at directly.
 *
 *     const fake = await startInfinoFake()
 *     fake.fault('upload', { status: 429, retryAfter: '1' }, { lose: 'reply' })
 *     ...
 *     await fake.close()
 */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { parseAuthorization, payloadHash, UNSIGNED_PAYLOAD, verifySignature } from '../../src/http/sigv4.js'

/** What a request is, as faults address it. */
export type FakeCall =
  | 'ping'
  | 'list'
  | 'create'
  | 'delete'
  | 'metadata'
  | 'schema'
  | 'upload'
  | 'import'
  | 'job'
  | 'record'
  | 'query'
  | 'sql'
  | 'deleteByQuery'
  | 'other'

/** What goes wrong with one request. Members may be combined where that makes sense. */
export interface Fault {
  /** Answer with this status, and store nothing. */
  readonly status?: number
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly retryAfter?: string
  /** Drop the connection: before reading, in the middle of the body, or after storing, instead of the reply. */
  readonly lose?: 'request' | 'body' | 'reply'
  /** Send half of the reply, then drop the connection. */
  readonly cutReply?: true
  /** Never answer: before storing, or after it. */
  readonly hang?: 'before' | 'after'
  /** Store first and answer with `status` or `body` afterwards. */
  readonly stored?: true
  /** Refuse these items of a bulk request (by position) with this status, and store the others. */
  readonly items?: Readonly<Record<number, number>>
  /** Leave out so many items at the end of a bulk reply. */
  readonly missingItems?: number
  /** Store only so many rows of an import, and say so. */
  readonly importRows?: number
  /** Changes the reply before it goes out. */
  readonly reply?: (reply: unknown) => unknown
}

export interface FakeRequest {
  readonly call: FakeCall
  readonly method: string
  readonly target: string
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

export interface FakeJob {
  readonly runId: string
  readonly dataset: string
  /** Polls that still answer `running`. */
  polls: number
  readonly reply: Record<string, unknown>
}

export interface InfinoFakeOptions {
  readonly accessKey?: string
  readonly secretKey?: string
  /** Bodies beyond this get 413. Default 4,194,304. */
  readonly bodyBytes?: number
  /** Polls that an asynchronous import stays `running`. Default 1. */
  readonly jobPolls?: number
}

export interface InfinoFake {
  readonly endpoint: string
  readonly accessKey: string
  readonly secretKey: string
  readonly datasets: Map<string, Map<string, unknown>>
  readonly requests: FakeRequest[]
  readonly jobs: Map<string, FakeJob>
  /** Queues faults: the next requests of this kind get them, one each, in order. */
  readonly fault: (call: FakeCall, ...faults: Fault[]) => void
  /** Rows that a query does not see yet. */
  hidden: number
  /** Requests answered at the same time at most so far. */
  readonly concurrency: () => number
  /** The rows of a dataset, in the order stored. */
  readonly rows: (dataset: string) => unknown[]
  readonly close: () => Promise<void>
}

interface Answer {
  readonly status: number
  readonly body: unknown
}

const ok = (body: unknown): Answer => ({ status: 200, body })
const refuse = (status: number, type: string, reason: string): Answer => ({
  status,
  body: { error: { type, reason }, status },
})

export async function startInfinoFake(options: InfinoFakeOptions = {}): Promise<InfinoFake> {
  const accessKey = options.accessKey ?? 'IAK_FAKE0123456789'
  const secretKey = options.secretKey ?? 'fake-secret/with+signs=='
  const bodyBytes = options.bodyBytes ?? 4 * 1024 * 1024
  const datasets = new Map<string, Map<string, unknown>>()
  const jobs = new Map<string, FakeJob>()
  const requests: FakeRequest[] = []
  const faults = new Map<FakeCall, Fault[]>()
  const sockets = new Set<Socket>()
  let running = 0
  let most = 0

  const server = createServer((request, response) => {
    running++
    most = Math.max(most, running)
    response.once('close', () => running--)
    handle(request, response).catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(500)
      response.end(String(error))
    })
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = request.method ?? ''
    const target = request.url ?? ''
    const call = callOf(method, target)
    const fault = faults.get(call)?.shift() ?? {}
    if (fault.lose === 'request') return void request.socket.resetAndDestroy()
    const body = await readAll(request, fault.lose === 'body')
    if (fault.lose === 'body') return void request.socket.resetAndDestroy()
    requests.push({ call, method, target, headers: request.headers, body })
    if (fault.hang === 'before') return
    let answer: Answer
    if (!signed(request, method, target, body)) answer = refuse(401, 'unauthorized', 'Invalid signature')
    else if (body.length > bodyBytes) answer = refuse(413, 'too_large', `body over ${bodyBytes} bytes`)
    else if (fault.status !== undefined && !fault.stored)
      answer = { status: fault.status, body: fault.body ?? '' }
    else {
      answer = serve(call, method, target, request, body, fault)
      if (fault.body !== undefined || fault.status !== undefined)
        answer = { status: fault.status ?? 200, body: fault.body ?? '' }
    }
    if (fault.lose === 'reply') return void request.socket.resetAndDestroy()
    if (fault.hang === 'after') return
    const value = fault.reply === undefined ? answer.body : fault.reply(answer.body)
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    const headers: Record<string, string> = { 'content-type': 'application/json', ...fault.headers }
    if (fault.retryAfter !== undefined) headers['retry-after'] = fault.retryAfter
    if (fault.cutReply) {
      response.writeHead(answer.status, { ...headers, 'content-length': String(Buffer.byteLength(text)) })
      response.write(text.slice(0, Math.floor(text.length / 2)), () => request.socket.resetAndDestroy())
      return
    }
    response.writeHead(answer.status, headers)
    response.end(text)
  }

  function signed(request: IncomingMessage, method: string, target: string, body: Buffer): boolean {
    const authorization = parseAuthorization(request.headers.authorization ?? '')
    if (authorization === undefined || authorization.accessKey !== accessKey) return false
    const hash = request.headers['x-amz-content-sha256']
    if (hash !== UNSIGNED_PAYLOAD && hash !== payloadHash(body)) return false
    const header = (name: string) => {
      const value = request.headers[name]
      return Array.isArray(value) ? value.join(',') : value
    }
    return verifySignature({ method, target, header, authorization, secretKey })
  }

  function serve(
    call: FakeCall,
    method: string,
    target: string,
    request: IncomingMessage,
    body: Buffer,
    fault: Fault,
  ): Answer {
    const url = new URL(target, 'http://fake')
    const parts = url.pathname.slice(1).split('/').map(decodeURIComponent)
    const name = parts[0] ?? ''
    const rows = datasets.get(name)
    const missing = refuse(404, 'index_not_found_exception', `no such index [${name}]`)
    switch (call) {
      case 'ping':
        return ok({ version: '2025-06-30' })
      case 'list':
        return ok([...datasets.keys()].map((key) => metadataOf(key, datasets.get(key)!)))
      case 'create':
        if (rows !== undefined) return { status: 409, body: 'resource_already_exists_exception' }
        datasets.set(name, new Map())
        return ok({ acknowledged: true, index: name })
      case 'delete':
        return datasets.delete(name) ? ok({ acknowledged: true }) : missing
      case 'metadata':
        return rows === undefined ? missing : ok([metadataOf(name, rows)])
      case 'schema':
        return rows === undefined ? missing : ok(schemaOf(rows))
      case 'upload':
        return rows === undefined ? missing : bulk(name, rows, body, fault)
      case 'import':
        return importFile(url, request, body, fault)
      case 'job':
        return jobState(parts[2] ?? '')
      case 'record': {
        const id = parts.slice(2).join('/')
        const row = rows?.get(id)
        return row === undefined ? missing : ok({ _index: name, _id: id, found: true, _source: row })
      }
      case 'query':
        return rows === undefined ? missing : ok(search(name, rows, JSON.parse(body.toString()) as Query))
      case 'deleteByQuery': {
        if (rows === undefined) return missing
        const deleted = rows.size
        rows.clear()
        return ok(deleted)
      }
      case 'sql':
        return ok({ columns: [{ name: 'n', type: 'Integer' }], rows: [[1]], size: 1, total: 1 })
      default:
        return refuse(404, 'NotFound', `${method} ${url.pathname}`)
    }
  }

  function search(name: string, rows: Map<string, unknown>, query: Query): unknown {
    const all = [...rows].slice(0, Math.max(0, rows.size - fake.hidden))
    const hits = all
      .slice(0, query.size ?? 10)
      .map(([id, row]) => ({ _index: name, _id: id, _score: 1, _source: row }))
    return { took: 1, timed_out: false, hits: { total: { value: all.length, relation: 'eq' }, hits } }
  }

  function importFile(url: URL, request: IncomingMessage, body: Buffer, fault: Fault): Answer {
    const form = readMultipart(request.headers['content-type'] ?? '', body)
    const dataset = form.get('index_name')?.toString() ?? ''
    const file = form.get('file')
    if (file === undefined || dataset === '')
      return refuse(400, 'ValidationError', 'file and index_name wanted')
    const text = file.toString()
    const parsed =
      form.get('format')?.toString() === 'json'
        ? (JSON.parse(text) as unknown[])
        : text.split('\n').flatMap((line) => (line.trim() === '' ? [] : [JSON.parse(line) as unknown]))
    const rows = datasets.get(dataset) ?? new Map<string, unknown>()
    datasets.set(dataset, rows)
    const taken = parsed.slice(0, fault.importRows ?? parsed.length)
    for (const row of taken) rows.set(randomUUID(), row)
    const stats = {
      documents_processed: taken.length,
      documents_failed: parsed.length - taken.length,
      bytes_processed: file.length,
      duration_ms: 0,
      errors: [],
    }
    const runId = randomUUID()
    const done = { run_id: runId, status: 'completed', connector_id: 'file', index_name: dataset, stats }
    if (url.searchParams.get('async') !== 'true') return ok({ ...done, message: 'done', errors: [] })
    jobs.set(runId, { runId, dataset, polls: options.jobPolls ?? 1, reply: { ...done, error_message: null } })
    return ok({ ...done, status: 'submitted', message: 'submitted', stats: null, errors: [] })
  }

  function jobState(runId: string): Answer {
    const job = jobs.get(runId)
    if (job === undefined) return refuse(404, 'NotFound', `no run ${runId}`)
    if (job.polls-- <= 0) return ok(job.reply)
    // A running job may already show an end and zeroed counts.
    const stats = { documents_processed: 0, documents_failed: 0, errors: [] }
    return ok({ ...job.reply, status: 'running', completed_at: '2026-01-01T00:00:00Z', stats })
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const fake: InfinoFake = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    accessKey,
    secretKey,
    datasets,
    requests,
    jobs,
    hidden: 0,
    fault(call, ...list) {
      faults.set(call, [...(faults.get(call) ?? []), ...list])
    },
    concurrency: () => most,
    rows: (dataset) => [...(datasets.get(dataset)?.values() ?? [])],
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
  return fake
}

interface Query {
  readonly size?: number
}

function callOf(method: string, target: string): FakeCall {
  const path = target.split('?')[0] ?? ''
  if (path === '/') return 'ping'
  if (path === '/metadata') return 'list'
  if (path === '/sql') return 'sql'
  if (path === '/import/file') return 'import'
  if (path.startsWith('/_connectors/jobs/')) return 'job'
  if (/^\/[^/]+\/json$/.test(path)) return 'upload'
  if (/^\/[^/]+\/querydsl$/.test(path)) return 'query'
  if (/^\/[^/]+\/metadata$/.test(path)) return 'metadata'
  if (/^\/[^/]+\/_schema$/.test(path)) return 'schema'
  if (/^\/[^/]+\/doc\/./.test(path)) return 'record'
  if (!/^\/[^/]+$/.test(path)) return 'other'
  const byMethod: Record<string, FakeCall> = { PUT: 'create', DELETE: 'delete', PATCH: 'deleteByQuery' }
  return byMethod[method] ?? 'other'
}

async function readAll(request: IncomingMessage, onlyFirst: boolean): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of request as AsyncIterable<Buffer>) {
    pieces.push(piece)
    if (onlyFirst) break
  }
  return Buffer.concat(pieces)
}

function bulk(name: string, rows: Map<string, unknown>, body: Buffer, fault: Fault): Answer {
  const text = body.toString()
  if (!text.endsWith('\n')) return { status: 400, body: 'The bulk request must be terminated by a newline' }
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  const items: Record<string, unknown>[] = []
  const apply: (() => void)[] = []
  let errors = false
  try {
    for (let at = 0; at < lines.length; at++) {
      const [action, { _id: given }] = Object.entries(
        JSON.parse(lines[at]!) as Record<string, { _id?: string }>,
      )[0]!
      const id = given ?? randomUUID()
      const row: unknown = action === 'delete' ? undefined : JSON.parse(lines[++at]!)
      const refused = fault.items?.[items.length]
      if (refused !== undefined) {
        errors = true
        const error = {
          type: refused === 429 ? 'TooManyAppends' : 'mapper_parsing_exception',
          reason: 'slow down',
        }
        items.push({ [action]: { _index: name, _id: id, status: refused, error } })
        continue
      }
      const known = rows.has(id)
      apply.push(() => {
        if (action === 'delete') rows.delete(id)
        else if (action === 'update')
          rows.set(id, { ...(rows.get(id) as object), ...(row as { doc: object }).doc })
        else rows.set(id, row)
      })
      const status = action === 'delete' && !known ? 404 : known ? 200 : 201
      items.push({ [action]: { _index: name, _id: id, result: known ? 'updated' : 'created', status } })
    }
  } catch (error) {
    return { status: 400, body: `malformed: ${String(error)}` }
  }
  for (const change of apply) change()
  const kept = items.slice(0, items.length - (fault.missingItems ?? 0))
  return { status: 200, body: { took: 1, errors, items: kept } }
}

function metadataOf(name: string, rows: Map<string, unknown>): Record<string, string> {
  return {
    health: 'green',
    status: 'open',
    index: name,
    'docs.count': String(rows.size),
    'store.size': '1kb',
  }
}

function schemaOf(rows: Map<string, unknown>): Record<string, unknown> {
  const schema: Record<string, unknown> = {}
  for (const row of rows.values())
    for (const [key, value] of Object.entries(row as object))
      schema[key] = { source: 'Logs', infino_type: typeof value === 'number' ? 'Integer' : 'String' }
  return schema
}

/** The parts of a multipart body by name. */
export function readMultipart(contentType: string, body: Buffer): Map<string, Buffer> {
  const parts = new Map<string, Buffer>()
  const boundary = /boundary=(.+)$/.exec(contentType)?.[1]
  if (boundary === undefined) return parts
  const mark = `--${boundary}`
  let start = body.indexOf(mark)
  while (start >= 0) {
    const next = body.indexOf(`\r\n${mark}`, start)
    if (next < 0) break
    const part = body.subarray(start + mark.length + 2, next)
    const head = part.indexOf('\r\n\r\n')
    const name = /name="([^"]*)"/.exec(part.toString('utf8', 0, head))?.[1]
    if (name !== undefined) parts.set(name, part.subarray(head + 4))
    start = next + 2
  }
  return parts
}
