/** What the batcher cuts for one write. Retry and halving slice it, so that a row keeps its ordinal and place. */
import { byteSize, originAt, rowAt, select, size, slice } from './batch.js'
import type { Batch, BodyFrame, Origin, Position, RowFrame } from './contracts.js'
import { parseJson } from './json.js'

/** Rows of a frame that share one origin: frame index `at` is index `from` of it. */
interface Part {
  readonly origin: Origin
  readonly at: number
  readonly from: number
}

/** A frame under construction, and the root of all slices of it. */
export class FrameRows<R> {
  readonly partition: string
  readonly ordinals: number[] = []
  readonly keys: string[] = []
  /** For a body: where each row's record ends, and where the row itself starts. */
  readonly ends: number[] = []
  readonly starts: number[] = []
  body: Buffer | undefined
  /** For a row sink: the batches the rows came in. */
  readonly batches: Batch<R>[] = []
  bytes = 0
  private readonly parts: Part[] = []
  private lastOrigin: Origin | undefined

  constructor(partition: string, body?: Buffer) {
    this.partition = partition
    this.body = body
  }

  get count(): number {
    return this.ordinals.length
  }

  /** Records where row `index` of a batch comes from; call it before its ordinal is pushed. */
  note(origin: Origin | undefined, index: number): void {
    if (origin === undefined || origin === this.lastOrigin) return
    this.lastOrigin = origin
    this.parts.push({ origin, at: this.ordinals.length, from: index })
  }

  /** A row was left out, so that indexes of the origin no longer run along: the next row starts a part. */
  breakRun(): void {
    this.lastOrigin = undefined
  }

  /** Adds rows `start` to `end` of a batch, the first with this ordinal. */
  addRows(batch: Batch<R>, start: number, end: number, ordinal: number): void {
    const rows = slice(batch, start, end)
    if (batch.origin !== undefined) this.parts.push({ origin: batch.origin, at: this.count, from: start })
    for (let i = start; i < end; i++) this.ordinals.push(ordinal + i - start)
    this.bytes += byteSize(rows)
    this.batches.push(rows)
  }

  positionAt(index: number): Position | undefined {
    let low = 0
    let high = this.parts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.parts[middle] as Part).at <= index) low = middle
      else high = middle - 1
    }
    const part = this.parts[low]
    if (part === undefined || part.at > index) return undefined
    return originAt({ rows: [], origin: part.origin }, part.from + index - part.at)
  }
}

/** Some rows of a frame: what a sink is given. */
export class Cut<R> implements RowFrame<R>, BodyFrame {
  readonly root: FrameRows<R>
  private readonly indexes: readonly number[] | undefined
  private made: { rows?: readonly R[]; body?: Uint8Array; ends?: number[] } = {}

  constructor(root: FrameRows<R>, indexes?: readonly number[]) {
    this.root = root
    this.indexes = indexes
  }

  get partition(): string {
    return this.root.partition
  }

  get count(): number {
    return this.indexes?.length ?? this.root.count
  }

  /** The index within the frame as it was cut. */
  rootIndex(index: number): number {
    return this.indexes === undefined ? index : (this.indexes[index] as number)
  }

  ordinalAt = (index: number): number => this.root.ordinals[this.rootIndex(index)] as number

  positionAt = (index: number): Position | undefined => this.root.positionAt(this.rootIndex(index))

  endAt = (index: number): number =>
    this.indexes === undefined
      ? (this.root.ends[index] as number)
      : ((this.layOut().ends as number[])[index] as number)

  get body(): Uint8Array {
    const whole = this.root.body
    if (whole === undefined) return new Uint8Array(0)
    if (this.indexes === undefined) return whole.subarray(0, this.root.ends[this.root.count - 1] ?? 0)
    return this.layOut().body as Uint8Array
  }

  get rows(): readonly R[] {
    this.made.rows ??= this.gather()
    return this.made.rows
  }

  /** The row for a dead letter: an object where it can be had, otherwise its text. */
  rowAt(index: number): unknown {
    const at = this.rootIndex(index)
    const body = this.root.body
    if (body !== undefined) {
      const text = body.toString('utf8', this.root.starts[at], this.root.ends[at]).trimEnd()
      try {
        return parseJson(text)
      } catch {
        return text
      }
    }
    let skipped = 0
    for (const batch of this.root.batches) {
      const count = size(batch)
      if (at < skipped + count) return rowAt(batch, at - skipped)
      skipped += count
    }
    return undefined
  }

  /** The rows at these ascending indexes of this cut. */
  pick(indexes: readonly number[]): Cut<R> {
    if (indexes.length === this.count) return this
    return new Cut(
      this.root,
      indexes.map((index) => this.rootIndex(index)),
    )
  }

  private gather(): readonly R[] {
    const batches = this.root.batches
    const all = batches.length === 1 ? (batches[0] as Batch<R>).rows : batches.flatMap((batch) => batch.rows)
    if (this.indexes === undefined) return all
    return select({ rows: all }, this.indexes).rows
  }

  /** Copies the chosen records together, once. */
  private layOut(): { body?: Uint8Array; ends?: number[] } {
    if (this.made.body !== undefined) return this.made
    const whole = this.root.body as Buffer
    const chosen = this.indexes as readonly number[]
    const ends: number[] = []
    let bytes = 0
    for (const index of chosen) {
      bytes += (this.root.ends[index] as number) - this.startOf(index)
      ends.push(bytes)
    }
    const body = Buffer.allocUnsafe(bytes)
    let at = 0
    for (const index of chosen) at += whole.copy(body, at, this.startOf(index), this.root.ends[index])
    this.made = { ...this.made, body, ends }
    return this.made
  }

  private startOf(index: number): number {
    return index === 0 ? 0 : (this.root.ends[index - 1] as number)
  }
}
