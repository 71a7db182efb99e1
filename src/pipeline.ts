/**
 * `from(source).map(...).filter(...).to(sink).run()`: an immutable description of a pipeline, typed end to end.
 * Every step returns a new one; nothing is opened before `run`, `batches` or `rows`.
 */
import type { Batch, ReadRequest, RunContext, Sink, Source, Transform } from './contracts.js'
import { invalidOption } from './internal/options.js'
import type { AnyTransform, Chain } from './lane.js'
import type { RunReport } from './report.js'
import { execute } from './run.js'
import type { RunOptions } from './run-options.js'
import { filter } from './transforms/filter.js'
import { flatMap } from './transforms/flat-map.js'
import { map } from './transforms/map.js'

/**
 * Starts a pipeline at a source, or at rows that are there already.
 *
 *     const report = await from(csvSource('orders.csv')).to(infinoUploadSink({ dataset: 'orders' })).run()
 */
export function from<R>(source: Source<R>): Pipeline<R> {
  if (typeof source?.read !== 'function') throw invalidOption('source', 'a source with read()', source)
  return new Pipeline(source as Source<unknown>, [])
}

export class Pipeline<R> {
  private readonly source: Source<unknown>
  private readonly transforms: readonly AnyTransform[]
  /** Rows of this type leave the pipeline; never present at run time. */
  declare readonly _row?: R

  constructor(source: Source<unknown>, transforms: readonly AnyTransform[]) {
    this.source = source
    this.transforms = transforms
  }

  /** Each row becomes what `fn` returns. See `map`. */
  map<O extends object>(fn: (row: R) => O): Pipeline<O> {
    return this.through(map(fn))
  }

  /** Keeps the rows for which `fn` is true. See `filter`. */
  filter<O extends R>(fn: (row: R) => row is O): Pipeline<O>
  filter(fn: (row: R) => unknown): Pipeline<R>
  filter(fn: (row: R) => unknown): Pipeline<R> {
    return this.through(filter(fn))
  }

  /** Each row becomes none, one or many. See `flatMap`. */
  flatMap<O extends object>(fn: (row: R) => Iterable<O>): Pipeline<O> {
    return this.through(flatMap(fn))
  }

  /**
   * Any transform: a function from batches to batches. One that states no facts is taken to need rows, to have
   * memory and to change the count.
   */
  through<O>(transform: Transform<R, O>): Pipeline<O> {
    if (typeof transform !== 'function') throw invalidOption('transform', 'a function', transform)
    return new Pipeline<O>(this.source, [...this.transforms, transform as AnyTransform])
  }

  /** Names the destination. Nothing happens before `run`. */
  to(sink: Sink<R>): Runnable {
    if (typeof sink?.write !== 'function') throw invalidOption('sink', 'a sink with write()', sink)
    return new Runnable(this.chain(), sink as Sink<unknown>)
  }

  /** The batches, for a loop of your own. A rejected row throws, unless `request.reject` takes it. */
  async *batches(request: ReadRequest = {}): AsyncGenerator<Batch<R>> {
    const partitions = (await this.source.partitions?.(request)) ?? []
    const context: RunContext = { signal: request.signal, log: request.log, reject: request.reject }
    let batches: AsyncIterable<Batch<unknown>> = readAll(this.source, partitions, request)
    for (const transform of this.transforms) batches = transform(batches, context)
    yield* batches as AsyncIterable<Batch<R>>
  }

  /** The rows, one by one: convenient, and several times slower than `batches`. */
  async *rows(request: ReadRequest = {}): AsyncGenerator<R> {
    for await (const batch of this.batches(request)) yield* batch.rows
  }

  private chain(): Chain {
    const names = this.transforms.map(
      (transform, k) => transform.label ?? (transform.name || `transform ${k + 1}`),
    )
    return { source: this.source, transforms: this.transforms, names: [this.source.name, ...names] }
  }
}

/** A pipeline with both ends. */
export class Runnable {
  private readonly chain: Chain
  private readonly sink: Sink<unknown>

  constructor(chain: Chain, sink: Sink<unknown>) {
    this.chain = chain
    this.sink = sink
  }

  /**
   * Runs to the end and returns the report of a ledger that balances. Otherwise rejects with an `EtlError`;
   * `reportOf(error)` tells what was done until then.
   */
  run(options: RunOptions = {}): Promise<RunReport> {
    return execute(this.chain, this.sink, options)
  }
}

async function* readAll(
  source: Source<unknown>,
  partitions: Awaited<ReturnType<NonNullable<Source['partitions']>>>,
  request: ReadRequest,
): AsyncGenerator<Batch<unknown>> {
  if (partitions.length === 0) yield* source.read({ ...request, form: 'rows' })
  for (const partition of partitions) yield* source.read({ ...request, form: 'rows', partition })
}
