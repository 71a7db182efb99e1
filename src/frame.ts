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

/** Rows of a frame whose ordinals run along: frame index `at` has the ordinal `first`. */
interface Run {
  readonly at: number
  readonly first: number
}

/** A request body being filled, with the place of each record in it. Used again and again. */
export class Body {
  bytes: Buffer
  /** Where each row's record ends, and where the row itself starts. */
  ends = new Uint32Array(1024)
  starts = new Uint32Array(1024)

  constructor(bytes: number) {
    this.bytes = Buffer.allocUnsafeSlow(bytes)
  }

  /** Room for one more record than `count`. */
  makeRoom(count: number): void {
    if (count < this.ends.length) return
    const wider = (list: Uint32Array) => {
      const copy = new Uint32Array(list.length * 2)
      copy.set(list)
      return copy
    }
    this.ends = wider(this.ends)
    this.starts = wider(this.starts)
  }
}

/** A frame under construction, and the root of all slices of it. */
export class FrameRows<R> {
  readonly partition: string
  readonly keys: string[] = []
  readonly body: Body | undefined
  /** For a row sink: the batches the rows came in. */
  readonly batches: Batch<R>[] = []
  count = 0
  bytes = 0
  private readonly parts: Part[] = []
  private readonly runs: Run[] = []
  private lastOrigin: Origin | undefined
  private nextOrdinal = -1

  constructor(partition: string, body?: Body) {
    this.partition = partition
    this.body = body
  }

  /** The ordinal after that of the last row. */
  get endOrdinal(): number {
    return this.nextOrdinal
  }

  ordinalAt(index: number): number {
    const run = lastAt(this.runs, index) as Run
    return run.first + index - run.at
  }

  /** Adds a record that stands in the body already. */
  addRecord(origin: Origin | undefined, index: number, ordinal: number, start: number, end: number): void {
    const body = this.body as Body
    const at = this.count
    body.makeRoom(at)
    body.starts[at] = start
    body.ends[at] = end
    if (ordinal !== this.nextOrdinal) {
      this.runs.push({ at, first: ordinal })
      this.lastOrigin = undefined
    }
    if (origin !== undefined && origin !== this.lastOrigin) {
      this.lastOrigin = origin
      this.parts.push({ origin, at, from: index })
    }
    this.nextOrdinal = ordinal + 1
    this.count++
  }

  /** Adds rows `start` to `end` of a batch, the first with this ordinal. */
  addRows(batch: Batch<R>, start: number, end: number, ordinal: number): void {
    const rows = slice(batch, start, end)
    if (batch.origin !== undefined) this.parts.push({ origin: batch.origin, at: this.count, from: start })
    if (ordinal !== this.nextOrdinal) this.runs.push({ at: this.count, first: ordinal })
    this.nextOrdinal = ordinal + end - start
    this.count += end - start
    this.bytes += byteSize(rows)
    this.batches.push(rows)
  }

  positionAt(index: number): Position | undefined {
    const part = lastAt(this.parts, index)
    if (part === undefined) return undefined
    return originAt({ rows: [], origin: part.origin }, part.from + index - part.at)
  }
}

/** The last entry at or before the index; entries ascend. */
function lastAt<T extends { readonly at: number }>(entries: readonly T[], index: number): T | undefined {
  let low = 0
  let high = entries.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((entries[middle] as T).at <= index) low = middle
    else high = middle - 1
  }
  const entry = entries[low]
  return entry === undefined || entry.at > index ? undefined : entry
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

  ordinalAt = (index: number): number => this.root.ordinalAt(this.rootIndex(index))

  positionAt = (index: number): Position | undefined => this.root.positionAt(this.rootIndex(index))

  endAt = (index: number): number => {
    const ends = this.indexes === undefined ? this.root.body?.ends : this.layOut().ends
    return ends?.[index] ?? 0
  }

  get body(): Uint8Array {
    const whole = this.root.body
    if (whole === undefined) return new Uint8Array(0)
    if (this.indexes !== undefined) return this.layOut().body as Uint8Array
    return whole.bytes.subarray(0, this.count === 0 ? 0 : whole.ends[this.count - 1])
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
      const text = body.bytes.toString('utf8', body.starts[at], body.ends[at]).trimEnd()
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
    const [first, ...rest] = batches.map((batch) => batch.rows)
    const all = rest.length === 0 ? (first ?? []) : (first as readonly R[]).concat(...rest)
    if (this.indexes === undefined) return all
    return select({ rows: all }, this.indexes).rows
  }

  /** Copies the chosen records together, once. */
  private layOut(): { body?: Uint8Array; ends?: number[] } {
    if (this.made.body !== undefined) return this.made
    const whole = this.root.body as Body
    const chosen = this.indexes as readonly number[]
    const startOf = (index: number) => (index === 0 ? 0 : (whole.ends[index - 1] as number))
    const ends: number[] = []
    let bytes = 0
    for (const index of chosen) {
      bytes += (whole.ends[index] as number) - startOf(index)
      ends.push(bytes)
    }
    const body = Buffer.allocUnsafe(bytes)
    let at = 0
    for (const index of chosen) at += whole.bytes.copy(body, at, startOf(index), whole.ends[index])
    this.made = { ...this.made, body, ends }
    return this.made
  }
}
