/**
 * The chain of one partition from the source through the transforms, with a border after each stage where rows
 * are counted, rejected rows are claimed, and cursors note the counts as they pass.
 */
import { originAt, parse, size, slice, withCursor } from './batch.js'
import type { Batch, Cursor, Logger, Partition, RejectedRow, Source, Transform } from './contracts.js'
import { Counts } from './ledger.js'
import type { LaneState } from './tracker.js'

export type AnyTransform = Transform<unknown, unknown>

/** What is run: the ends are erased to `unknown`, the builder keeps their types. */
export interface Chain {
  readonly source: Source<unknown>
  readonly transforms: readonly AnyTransform[]
  /** Names of the source and the transforms, in order. */
  readonly names: readonly string[]
}

export interface LaneOptions {
  readonly chain: Chain
  readonly id: string
  /** Read one after another; `undefined` stands for a source without partitions. */
  readonly partitions: readonly (Partition | undefined)[]
  readonly saved: LaneState
  /** Cursors mean nothing behind a transform with memory: such a lane starts over. */
  readonly keepCursors: boolean
  readonly needsRows: boolean
  readonly log: Logger
  readonly signal: AbortSignal
  /** Rows that may still be read, over all lanes; consulted at every batch. */
  readonly remaining: () => number
  readonly reject: (row: RejectedRow) => void
  readonly progress: (bytes: number, ofBytes: number | undefined) => void
}

interface Mark {
  readonly cursor: Cursor
  readonly counts: number[]
}

export class Lane {
  readonly id: string
  readonly counts: Counts
  /** Milliseconds spent in each stage. */
  readonly times: number[]
  /** Rows the source declared; summed over the partitions of this lane. */
  expected: number | undefined
  /** The source was read to its end. */
  ended = false
  limited = false
  /** Why the source says it stopped before its end. */
  cutShort: string | undefined
  private readonly options: LaneOptions
  private readonly marks = new Map<number, Mark>()
  private sequence = 0

  constructor(options: LaneOptions) {
    this.options = options
    this.id = options.id
    const stages = options.chain.transforms.length + 1
    this.counts = new Counts(stages, options.keepCursors ? options.saved.counts : undefined)
    this.times = new Array(stages).fill(0)
    this.expected = options.saved.expected
  }

  /** The batches that leave the last transform. Their cursors are numbers for `markOf`. */
  batches(): AsyncIterable<Batch<unknown>> {
    const { transforms } = this.options.chain
    let batches: AsyncIterable<Batch<unknown>> = this.source()
    transforms.forEach((transform, index) => {
      const context = { signal: this.options.signal, log: this.options.log, reject: this.rejectIn(index + 1) }
      batches = this.border(transform(batches, context), index + 1)
    })
    return batches
  }

  /** The source's cursor behind a number, with the counts of all borders at it. Older ones are forgotten. */
  markOf(sequence: Cursor): Mark | undefined {
    const mark = this.marks.get(sequence as number)
    for (const older of this.marks.keys()) {
      if (older > (sequence as number)) break
      this.marks.delete(older)
    }
    return mark
  }

  /** Time of a stage without what it waited for upstream. */
  ownTime(stage: number): number {
    return (this.times[stage] ?? 0) - (stage === 0 ? 0 : (this.times[stage - 1] ?? 0))
  }

  /** The counts as a checkpoint keeps them, once the lane has ended. */
  finalCounts(): number[] {
    return this.counts.out.flatMap((out, stage) => [out, this.counts.rejected[stage] as number])
  }

  private rejectIn(stage: number): (row: RejectedRow) => void {
    const by = this.options.chain.names[stage]
    return (row) => {
      this.counts.rejected[stage]!++
      this.options.reject({ ...row, by: row.by ?? by, partition: this.id })
    }
  }

  private async *source(): AsyncGenerator<Batch<unknown>> {
    const { options, counts } = this
    const reject = this.rejectIn(0)
    const declared: (number | undefined)[] = []
    if (options.remaining() <= 0) {
      this.limited = true
      return
    }
    for (const [index, partition] of options.partitions.entries()) {
      const batches = options.chain.source.read({
        from: options.keepCursors ? options.saved.cursor : undefined,
        limit: Number.isFinite(options.remaining()) ? options.remaining() : undefined,
        partition,
        form: options.needsRows ? 'rows' : 'any',
        signal: options.signal,
        log: options.log,
        reject,
        expect: (rows) => {
          declared[index] = rows
          this.expected = sumOf(declared)
        },
        truncated: (reason) => {
          this.cutShort = reason
        },
        progress: (bytes, ofBytes) => options.progress(bytes, ofBytes),
      })
      declared[index] ??= undefined
      if (index > 0) this.expected = sumOf(declared)
      for await (const batch of this.timed(batches, 0)) {
        const given = options.needsRows
          ? parse(batch, (at, text, reason) => this.rejectLine(batch, at, text, reason))
          : batch
        const left = options.remaining()
        const cut = size(given) > left ? slice(given, 0, left) : given
        counts.out[0]! += size(cut)
        const tagged = this.tag(cut)
        if (size(tagged) > 0 || tagged.cursor !== undefined) yield tagged
        if (size(cut) >= left) {
          this.limited = true
          return
        }
      }
    }
    this.ended = this.cutShort === undefined
  }

  private rejectLine(batch: Batch<unknown>, index: number, text: string, reason: string): void {
    this.rejectIn(0)({
      row: text,
      code: 'ETL_JSON_ROW',
      reason,
      position: originAt(batch, index),
    })
  }

  private tag(batch: Batch<unknown>): Batch<unknown> {
    if (batch.cursor === undefined) return batch
    if (!this.options.keepCursors) return withCursor(batch, undefined)
    const sequence = ++this.sequence
    this.marks.set(sequence, {
      cursor: batch.cursor,
      counts: [this.counts.out[0]!, this.counts.rejected[0]!],
    })
    return withCursor(batch, sequence)
  }

  private async *border(input: AsyncIterable<Batch<unknown>>, stage: number): AsyncGenerator<Batch<unknown>> {
    for await (const batch of this.timed(input, stage)) {
      this.counts.out[stage]! += size(batch)
      const mark = batch.cursor === undefined ? undefined : this.marks.get(batch.cursor as number)
      if (mark !== undefined) {
        mark.counts[2 * stage] = this.counts.out[stage]!
        mark.counts[2 * stage + 1] = this.counts.rejected[stage]!
      }
      yield batch
    }
  }

  /** Adds the time that pulling takes to the stage, upstream included. */
  private async *timed(input: AsyncIterable<Batch<unknown>>, stage: number): AsyncGenerator<Batch<unknown>> {
    const iterator = input[Symbol.asyncIterator]()
    let finished = false
    try {
      for (;;) {
        const started = performance.now()
        const next = await iterator.next()
        this.times[stage]! += performance.now() - started
        if (next.done) {
          finished = true
          return
        }
        yield next.value
      }
    } finally {
      if (!finished) await iterator.return?.()
    }
  }
}

/** Undefined unless all are known. */
function sumOf(numbers: readonly (number | undefined)[]): number | undefined {
  return numbers.reduce<number | undefined>(
    (sum, n) => (sum === undefined || n === undefined ? undefined : sum + n),
    0,
  )
}
