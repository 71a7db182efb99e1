/**
 * Node streams on the outside, batches on the inside: sources as Readables, transforms as Transforms, sinks as
 * Writables, and foreign streams as sources and transforms.
 *
 *     toReadable(csvSource('orders.csv')).pipe(ndjson.stringify()).pipe(response)
 *
 * Node's own `pipeline()` of `node:stream/promises` needs none of this: it takes `source.read({})`, transforms,
 * and an async function as they are, and moves batches. One object per row costs several times as much.
 */
import { Duplex, Readable, Writable } from 'node:stream'
import { size, slice, withCursor } from './batch.js'
import type { Batch, ReadRequest, Row, RunContext, Sink, Source, Transform } from './contracts.js'
import { abortError, EtlError, throwIfAborted, toEtlError } from './errors.js'
import { oneOf, wholeNumber } from './internal/options.js'
import { anySignal } from './internal/waiting.js'
import { type AnyReadable, drain } from './interop/drain.js'
import { Inlet } from './interop/inlet.js'
import { Outlet } from './interop/outlet.js'
import { type By, type CollectOptions, collecting } from './interop/shapes.js'
import { from } from './pipeline.js'
import { type RunReport, reportOf } from './report.js'
import type { RunOptions } from './run-options.js'

export type { By, CollectOptions } from './interop/shapes.js'
export { viaStream } from './interop/via-stream.js'

const ROWS_AHEAD = 64

/** A Readable whose chunks have a type. */
export interface ReadableOf<T> extends Readable {
  [Symbol.asyncIterator](): NodeJS.AsyncIterator<T>
}

export interface ToReadableOptions extends Omit<ReadRequest, 'form'> {
  /** What a chunk is. Default `'rows'`. */
  readonly by?: By | undefined
  /** Chunks made ahead of the reader. Default 64 rows, or 1 batch. */
  readonly highWaterMark?: number | undefined
}

/**
 * A source, or the batches of a pipeline, as an object-mode Readable. It holds one batch and what the high-water
 * mark allows, however long its reader stalls. `destroy()` ends the source. A rejected row is an error unless
 * `reject` takes it.
 *
 *     for await (const order of toReadable(from(csvSource<Order>('orders.csv')).filter(isOpen).batches())) ...
 */
export function toReadable<R>(
  source: Source<R> | AsyncIterable<Batch<R>>,
  options: ToReadableOptions & { readonly by: 'batches' },
): ReadableOf<Batch<R>>
export function toReadable<R>(
  source: Source<R> | AsyncIterable<Batch<R>>,
  options?: ToReadableOptions & { readonly by?: 'rows' | undefined },
): ReadableOf<R>
export function toReadable(
  source: Source<unknown> | AsyncIterable<Batch<unknown>>,
  options: ToReadableOptions = {},
): Readable {
  const { by = 'rows', highWaterMark, signal, ...request } = options
  oneOf('by', by, ['rows', 'batches'])
  const chunks = wholeNumber('highWaterMark', highWaterMark, by === 'rows' ? ROWS_AHEAD : 1)
  const stop = new AbortController()
  const onAbort = () => readable.destroy(abortError(signal as AbortSignal))
  const readable: Readable = new Readable({
    objectMode: true,
    highWaterMark: chunks,
    read: () => outlet.read(),
    destroy(error, done) {
      signal?.removeEventListener('abort', onAbort)
      stop.abort(error ?? destroyed())
      outlet.release().then(() => done(error), done)
    },
  })
  const outlet = new Outlet(readable, by, () => {
    throwIfAborted(signal)
    const asked = { ...request, form: 'rows' as const, signal: anySignal(signal, stop.signal) }
    const batches = 'read' in source ? source.read(asked) : source
    return (request.limit === undefined ? batches : firstRows(batches, request.limit))[Symbol.asyncIterator]()
  })
  if (signal?.aborted) onAbort()
  else signal?.addEventListener('abort', onAbort, { once: true })
  return readable
}

/** A limit is a hint for a source; a stream keeps it. */
async function* firstRows(
  batches: AsyncIterable<Batch<unknown>>,
  limit: number,
): AsyncGenerator<Batch<unknown>> {
  if (limit <= 0) return
  let left = limit
  for await (const batch of batches) {
    yield slice(batch, 0, left)
    left -= size(batch)
    if (left <= 0) return
  }
}

export interface ToTransformOptions extends CollectOptions, RunContext {}

/**
 * A transform as an object-mode Duplex. A rejected row is an error unless `reject` takes it.
 *
 *     rows.pipe(toTransform(filter((order: Order) => order.qty > 0))).pipe(ndjson.stringify())
 */
export function toTransform<I, O>(transform: Transform<I, O>, options: ToTransformOptions = {}): Duplex {
  const limits = collecting(options)
  const { signal, log, reject } = options
  const inlet = new Inlet<I>(limits)
  const stop = new AbortController()
  const onAbort = () => duplex.destroy(abortError(signal as AbortSignal))
  const duplex: Duplex = new Duplex({
    objectMode: true,
    readableHighWaterMark: limits.by === 'rows' ? ROWS_AHEAD : 1,
    writableHighWaterMark: limits.by === 'rows' ? ROWS_AHEAD : 1,
    write: (chunk, _encoding, done) => inlet.write(chunk, done),
    final(done) {
      inlet.end()
      done()
    },
    read: () => outlet.read(),
    destroy(error, done) {
      signal?.removeEventListener('abort', onAbort)
      const reason = error ?? destroyed()
      stop.abort(reason)
      inlet.fail(reason)
      outlet.release().then(() => done(error), done)
    },
  })
  const outlet = new Outlet(duplex, limits.by, () => {
    const context = { signal: anySignal(signal, stop.signal), log, reject }
    return transform(inlet, context)[Symbol.asyncIterator]()
  })
  if (signal?.aborted) onAbort()
  else signal?.addEventListener('abort', onAbort, { once: true })
  return duplex
}

/** How the run behind the stream goes. A `limit` would drop rows that the writer believes written. */
export interface ToWritableOptions extends CollectOptions, Omit<RunOptions, 'limit' | 'parallel'> {}

/** A Writable in front of a run. */
export interface SinkWritable extends Writable {
  /** Of the run: there once the stream has finished, or failed. */
  readonly report: RunReport | undefined
}

/**
 * A sink as an object-mode Writable, with the engine behind it: frames, retries, rejected rows, checkpoints.
 * `finish` comes when every row is accounted for and the sink is closed; otherwise the stream fails.
 *
 *     const out = toWritable(infinoUploadSink({ dataset: 'orders' }))
 *     await pipeline(rows, out)
 *     console.log(out.report?.ledger)
 */
export function toWritable<R>(sink: Sink<R>, options: ToWritableOptions = {}): SinkWritable {
  const { by: _by, batchRows: _rows, batchBytes: _bytes, signal, ...runOptions } = options
  const limits = collecting(options)
  const inlet = new Inlet<R>(limits)
  const stop = new AbortController()
  const source: Source<R> = {
    name: 'stream',
    read(request) {
      // The run gives up while the writer may still be silent.
      request.signal?.addEventListener('abort', () => inlet.fail(abortError(request.signal as AbortSignal)))
      return withoutCursors(inlet)
    },
  }
  const run = { settled: undefined as Promise<void> | undefined, report: undefined as RunReport | undefined }
  let failure: EtlError | undefined

  const writable: Writable = new Writable({
    objectMode: true,
    highWaterMark: limits.by === 'rows' ? ROWS_AHEAD : 1,
    construct(done) {
      const running = from(source)
        .to(sink)
        .run({ ...runOptions, signal: anySignal(signal, stop.signal) })
      run.settled = running.then(
        (report) => {
          run.report = report
        },
        (error: unknown) => {
          failure = toEtlError(error, 'ETL_RUN_FAILED', 'the run failed')
          run.report = reportOf(error)
          writable.destroy(failure)
        },
      )
      done()
    },
    write: (chunk, _encoding, done) => inlet.write(chunk, done),
    final(done) {
      inlet.end()
      run.settled?.then(() => done(failure ?? null), done)
    },
    destroy(error, done) {
      const reason = error ?? destroyed()
      stop.abort(reason)
      inlet.fail(reason)
      Promise.resolve(run.settled).then(() => done(error ?? null), done)
    },
  })
  return Object.defineProperty(writable, 'report', { get: () => run.report }) as SinkWritable
}

async function* withoutCursors<R>(batches: AsyncIterable<Batch<R>>): AsyncGenerator<Batch<R>> {
  for await (const batch of batches) if (size(batch) > 0) yield withCursor(batch, undefined)
}

export interface FromReadableOptions extends CollectOptions {
  /** Shown in the ledger. Default `stream`. */
  readonly name?: string | undefined
}

/** A source that can also be iterated as it is. */
export interface StreamSource<R> extends Source<R>, AsyncIterable<Batch<R>> {}

/**
 * An object-mode Readable as a source. It can be read once, unless a function is given that opens it anew. A chunk
 * that is no object is a rejected row (`ETL_STREAM_NOT_ROW`); bytes are an error (`ETL_STREAM_BYTES`).
 *
 *     await from(fromReadable<Order>(bytes.pipe(ndjson.parse()))).to(sink).run()
 *
 * It has no cursors: a resumed run reads from the start and drops what was written.
 */
export function fromReadable<R = Row>(
  stream: AnyReadable | (() => AnyReadable),
  options: FromReadableOptions = {},
): StreamSource<R> {
  const limits = collecting(options)
  const { name = 'stream' } = options
  let used = false
  const read = (request: ReadRequest): AsyncGenerator<Batch<R>> => {
    return drain<R>(open, limits, name, request)
  }
  const open = (): AnyReadable => {
    if (typeof stream === 'function') return stream()
    if (used) {
      throw new EtlError(
        'ETL_SOURCE_CONSUMED',
        `${name}: the stream was read already; give a function that opens it to read it again`,
      )
    }
    used = true
    return stream
  }
  return { name, read, [Symbol.asyncIterator]: () => read({}) }
}

function destroyed(): EtlError {
  return new EtlError('ETL_ABORTED', 'stopped: the stream was destroyed')
}
