/** What happens to rows that were refused: fail, skip and count, or write them to a dead letter sink. */

import { rowsBatch } from './batch.js'
import { batchInto, frameLimits, isBodySink } from './batcher.js'
import type { Clock, Json, Logger, RejectedRow, Row, Sink } from './contracts.js'
import { Delivery } from './delivery.js'
import { describePosition, EtlError } from './errors.js'
import { BodyPool } from './filling.js'
import type { RetryPolicy, RetryWorld } from './retry.js'

/** A rejected row as it is written to a dead letter sink. */
export interface DeadLetter extends Row {
  readonly code: string
  readonly reason: string
  readonly by: string | undefined
  readonly partition: string | undefined
  readonly ordinal: number | undefined
  readonly position: Json | undefined
  readonly row: unknown
}

/**
 * - `'fail'`: the first rejected row fails the run. The default.
 * - `'skip'`: rejected rows are counted, and the first ones listed in the report.
 * - `deadLetter(sink)`: they are written to a sink as well, at least once.
 */
export type OnError = 'fail' | 'skip' | DeadLetterPolicy

export interface DeadLetterPolicy {
  readonly deadLetter: Sink<DeadLetter>
}

export function deadLetter(sink: Sink<DeadLetter>): DeadLetterPolicy {
  return { deadLetter: sink }
}

const SAMPLES = 10
const WAITING = 1000

export interface RejectionsOptions {
  readonly onError: OnError
  readonly policy: RetryPolicy
  readonly world: RetryWorld
  readonly clock: Clock
  readonly log: Logger
  readonly signal: AbortSignal
}

export class Rejections {
  /** The first rejected rows. */
  readonly samples: RejectedRow[] = []
  readonly byCode = new Map<string, number>()
  count = 0
  private readonly options: RejectionsOptions
  private readonly sink: Sink<DeadLetter> | undefined
  private waiting: DeadLetter[] = []
  private writing: Promise<void> = Promise.resolve()

  constructor(options: RejectionsOptions) {
    this.options = options
    this.sink = typeof options.onError === 'object' ? options.onError.deadLetter : undefined
  }

  async open(runId: string, resumed: boolean): Promise<void> {
    const { signal, log } = this.options
    await this.sink?.open?.({ runId, resumed, checkpointed: false, signal, log })
  }

  /** Throws when the run is to fail. */
  add(row: RejectedRow): void {
    this.count++
    if (this.samples.length < SAMPLES) this.samples.push(row)
    if (this.byCode.size < 100 || this.byCode.has(row.code)) {
      this.byCode.set(row.code, (this.byCode.get(row.code) ?? 0) + 1)
    }
    if (this.options.onError === 'fail') throw rejectionError(row)
    if (this.sink === undefined) return
    this.waiting.push({
      code: row.code,
      reason: row.reason,
      by: row.by,
      partition: row.partition,
      ordinal: row.ordinal,
      position: row.position as Json | undefined,
      row: row.row,
    })
  }

  /** Resolves when few enough wait. */
  async drain(): Promise<void> {
    if (this.waiting.length >= WAITING) await this.write()
  }

  /** Resolves when all dead letters are durable. */
  async flush(): Promise<void> {
    if (this.sink === undefined) return
    await this.write()
    const { signal, log } = this.options
    await this.sink.flush?.({ signal: signal.aborted ? undefined : signal, log })
  }

  async close(ok: boolean): Promise<void> {
    await this.sink?.close?.(ok)
  }

  private write(): Promise<void> {
    this.writing = this.writing.then(() => this.writeNow())
    return this.writing
  }

  private async writeNow(): Promise<void> {
    const sink = this.sink
    const rows = this.waiting
    if (sink === undefined || rows.length === 0) return
    this.waiting = []
    const { policy, world, clock, log, signal } = this.options
    let failure: unknown
    const delivery = new Delivery<DeadLetter>({
      sink,
      policy,
      world,
      concurrency: 1,
      log,
      signal,
      written: () => {},
      allWritten: () => {},
      rejected: (_frame, _index, row) => {
        throw new EtlError(
          'ETL_DEAD_LETTER',
          `the dead letter sink ${sink.name} refused a row: ${row.reason}`,
        )
      },
      settled: () => {},
      failed: (error) => {
        failure ??= error
      },
    })
    const limits = frameLimits(sink)
    await batchInto(once(rowsBatch(rows)), {
      partition: 'rejected',
      limits,
      encoder: isBodySink(sink) ? sink.encoder({ runId: 'rejected', partition: 'rejected' }) : undefined,
      bodies: new BodyPool(limits.bytes),
      clock,
      signal,
      graceMs: 0,
      from: 0,
      acked: 0,
      emit: (frame) => delivery.submit(frame, signal, () => {}),
      mark: () => {},
      refuse: (row) => {
        throw new EtlError(
          'ETL_DEAD_LETTER',
          `a rejected row cannot be written as a dead letter: ${row.reason}`,
        )
      },
      spent: () => {},
    })
    await delivery.idle()
    if (failure !== undefined) throw failure
  }
}

/** The error of a run that fails on a rejected row. */
export function rejectionError(row: RejectedRow): EtlError {
  const where = describePosition(row.position)
  const by = row.by === undefined ? '' : `${row.by}: `
  return new EtlError(row.code, `${by}${row.reason}${row.reason.includes(where) ? '' : where}`, {
    context: {
      ...row.position,
      ...(row.partition === undefined ? {} : { partition: row.partition }),
      ...(row.ordinal === undefined ? {} : { ordinal: row.ordinal }),
    },
  })
}

async function* once<T>(value: T): AsyncGenerator<T> {
  yield value
}
