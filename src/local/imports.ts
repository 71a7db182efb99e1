/**
 * File imports: one transaction each, so that a run either completed or left nothing. What a run has become is
 * kept with the datasets; one that was under way when the server died is `failed` when it starts again.
 */
import { randomUUID } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../errors.js'
import { decodeFile, type FileFormat } from './decode.js'
import { isItemError, newId, parseDocument } from './documents.js'
import { type FieldKinds, observe } from './fields.js'
import type { Piece } from './piece.js'
import { ApiError } from './reply.js'
import { Shapes } from './shapes.js'
import { Slots } from './slots.js'
import type { Dataset, Store } from './store.js'

const MAX_ERRORS = 20
const MAX_WAITING = 64
const KEPT_JOBS = 10_000

export interface JobStats {
  documents_processed: number
  documents_failed: number
  bytes_processed: number
  avg_throughput_docs_per_sec: number
  duration_ms: number
  errors: string[]
}

export interface Job {
  readonly run_id: string
  status: 'submitted' | 'running' | 'completed' | 'failed'
  readonly connector_id: 'file'
  readonly connection_id: null
  readonly index_name: string
  readonly started_at: string
  completed_at: string | null
  duration_ms: number | null
  error_message: string | null
  stats: JobStats
}

/** A file on the disk that is to be imported and then deleted. */
export interface ImportFile {
  readonly dataset: Dataset
  readonly path: string
  readonly format: FileFormat
  readonly bytes: number
}

export class Imports {
  readonly #store: Store
  readonly #dir: string
  readonly #slots = new Slots(1, MAX_WAITING)
  /** Jobs under way. */
  readonly #live = new Map<string, Job>()
  readonly #stopping = new AbortController()
  readonly #running = new Set<Promise<unknown>>()

  private constructor(store: Store, dir: string) {
    this.#store = store
    this.#dir = dir
  }

  static async open(store: Store, dir: string): Promise<Imports> {
    const uploads = join(dir, 'uploads')
    rmSync(uploads, { recursive: true, force: true })
    mkdirSync(uploads, { recursive: true, mode: 0o700 })
    const imports = new Imports(store, uploads)
    await store.write(async (connection) => {
      const rows = await connection.runAndReadAll('SELECT record FROM _infino.jobs')
      for (const [record] of rows.getRows()) {
        const job = JSON.parse(record as string) as Job
        if (job.status === 'completed' || job.status === 'failed') continue
        fail(job, 'the server stopped during the run; nothing of it was stored')
        await connection.run(SAVE, [job.run_id, JSON.stringify(job)])
      }
      await connection.run(
        'DELETE FROM _infino.jobs WHERE place <= (SELECT coalesce(max(place), 0) FROM _infino.jobs) - $1',
        [BigInt(KEPT_JOBS)],
      )
    })
    return imports
  }

  /** A path for an upload that nobody else uses. */
  newPath(): string {
    return join(this.#dir, randomUUID())
  }

  /** What the check makes of an upload; where it throws, the upload is deleted. */
  async checked<T>(path: string, check: () => T): Promise<T> {
    try {
      return check()
    } catch (error) {
      await rm(path, { force: true })
      throw error
    }
  }

  /** Begins a run. `finished` resolves, and never rejects, when it is over; the file is deleted then. */
  async submit(file: ImportFile): Promise<{ job: Job; finished: Promise<Job> }> {
    const job: Job = {
      run_id: randomUUID(),
      status: 'submitted',
      connector_id: 'file',
      connection_id: null,
      index_name: file.dataset.name,
      started_at: timestamp(),
      completed_at: null,
      duration_ms: null,
      error_message: null,
      stats: {
        documents_processed: 0,
        documents_failed: 0,
        bytes_processed: 0,
        avg_throughput_docs_per_sec: 0,
        duration_ms: 0,
        errors: [],
      },
    }
    try {
      if (this.#live.size > MAX_WAITING)
        throw new ApiError(429, 'too_many_requests', 'too many imports are waiting: try again later')
      this.#live.set(job.run_id, job)
      await this.#store.write(async (connection) => {
        await connection.run(
          'INSERT INTO _infino.jobs SELECT $1, (SELECT coalesce(max(place), 0) + 1 FROM _infino.jobs), $2',
          [job.run_id, JSON.stringify(job)],
        )
      })
    } catch (error) {
      this.#live.delete(job.run_id)
      await rm(file.path, { force: true })
      throw error
    }
    const finished = this.#run(job, file)
    this.#running.add(finished)
    void finished.finally(() => this.#running.delete(finished))
    return { job, finished }
  }

  async job(runId: string): Promise<Job> {
    const live = this.#live.get(runId)
    if (live !== undefined) return live
    const rows = await this.#store.read((connection) =>
      connection.runAndReadAll('SELECT record FROM _infino.jobs WHERE run_id = $1', [runId]),
    )
    const record = rows.getRows()[0]?.[0]
    if (record === undefined)
      throw new ApiError(404, 'resource_not_found_exception', `no such run ${JSON.stringify(runId)}`)
    return JSON.parse(record as string) as Job
  }

  /** Ends the runs under way as failed. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#running)
  }

  async #run(job: Job, file: ImportFile): Promise<Job> {
    const release = await this.#slots.take()
    const begun = performance.now()
    try {
      job.status = 'running'
      await this.#import(job, file, begun)
    } catch (error) {
      Object.assign(job.stats, { documents_processed: 0 })
      fail(job, `${messageOf(error)}; nothing of the file was stored`)
      measure(job, file, begun)
      await this.#store
        .write((connection) => connection.run(SAVE, [job.run_id, JSON.stringify(job)]))
        .catch(() => {})
    } finally {
      await rm(file.path, { force: true }).catch(() => {})
      this.#live.delete(job.run_id)
      release()
    }
    return job
  }

  async #import(job: Job, file: ImportFile, begun: number): Promise<void> {
    const store = this.#store
    const dataset = store.current(file.dataset)
    const fields: FieldKinds = new Map()
    const shapes = new Shapes()
    const connection = await store.connect()
    try {
      await connection.run('BEGIN')
      for await (const piece of decodeFile(file.path, file.format)) {
        if (this.#stopping.signal.aborted) throw new Error('the server was stopped')
        const bodies = take(piece, job.stats, fields, shapes)
        await store.append(connection, dataset, bodies.map(newId), undefined, bodies)
      }
      // Columns first, and for themselves: wider columns harm nobody where the rows then do not come.
      await store.write((writer) => store.widen(writer, store.current(dataset), fields))
      if (job.stats.documents_processed === 0 && job.stats.documents_failed > 0)
        fail(job, 'no document could be stored')
      const over: Job = { ...job, status: job.error_message === null ? 'completed' : 'failed' }
      measure(over, file, begun)
      await connection.run(SAVE, [over.run_id, JSON.stringify(over)])
      await connection.run('COMMIT')
      Object.assign(job, over)
      // It does not know the ids that have just come.
      dataset.ids = undefined
    } finally {
      // Closing rolls back what was not committed.
      connection.closeSync()
    }
  }
}

const SAVE = 'UPDATE _infino.jobs SET record = $2 WHERE run_id = $1'

/** The documents of a piece that can be stored; the others are counted. */
function take(piece: Piece, stats: JobStats, fields: FieldKinds, shapes: Shapes): string[] {
  const bodies: string[] = []
  const refuse = (place: number, reason: string) => {
    stats.documents_failed += 1
    if (stats.errors.length < MAX_ERRORS) stats.errors.push(`document at ${place}: ${reason}`)
  }
  for (const { place, reason } of piece.refused) refuse(place, reason)
  for (const [i, text] of piece.texts.entries()) {
    if (shapes.fits(text)) {
      bodies.push(text)
      continue
    }
    const document = parseDocument(text)
    if (isItemError(document)) {
      refuse(piece.places[i]!, document.reason)
      continue
    }
    observe(fields, document, text)
    shapes.learn(document, fields)
    bodies.push(text)
  }
  stats.documents_processed += bodies.length
  return bodies
}

function measure(job: Job, file: ImportFile, begun: number): void {
  const ms = performance.now() - begun
  job.completed_at = timestamp()
  job.duration_ms = Math.round(ms)
  job.stats.duration_ms = Math.round(ms)
  job.stats.bytes_processed = file.bytes
  job.stats.avg_throughput_docs_per_sec = ms === 0 ? 0 : job.stats.documents_processed / (ms / 1000)
}

function fail(job: Job, message: string): void {
  job.status = 'failed'
  job.error_message = message
  job.completed_at ??= timestamp()
}

/** RFC 3339 with nine digits, as Infino writes it. */
function timestamp(): string {
  return new Date().toISOString().replace('Z', '000000+00:00')
}
