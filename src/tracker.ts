/** What became of the rows of one lane: the longest prefix that is settled, and the newest cursor inside it. */
import type { Cursor } from './contracts.js'
import type { FrameRows } from './frame.js'

/** What a checkpoint keeps of one lane. */
export interface LaneState {
  /** Resume reading after it; absent means from the start. */
  readonly cursor?: Cursor | undefined
  /** Ordinal of the first row after the cursor. */
  readonly at: number
  /** Counts of every border at the cursor: rows given on and rejected, stage by stage. */
  readonly counts: readonly number[]
  readonly expected?: number | undefined
  /** All rows below this ordinal are settled. */
  readonly acked: number
  /** Of those, how many were written and how many the sink rejected. */
  readonly written: number
  readonly rejected: number
  readonly done: boolean
}

export const freshLane: LaneState = { at: 0, counts: [], acked: 0, written: 0, rejected: 0, done: false }

export type Outcome = 'written' | 'rejected'

const WRITTEN = 1
const REJECTED = 2

interface Open {
  readonly frame: FrameRows<unknown>
  readonly status: Uint8Array
  left: number
}

interface Mark {
  readonly cursor: Cursor
  readonly at: number
  readonly counts: readonly number[]
}

export class LaneTracker {
  private readonly open: Open[] = []
  private readonly byFrame = new Map<FrameRows<unknown>, Open>()
  private readonly marks: Mark[] = []
  /** Rows refused before they got into a frame, ascending. */
  private readonly refused: number[] = []
  private state: LaneState
  private finalCounts: readonly number[] | undefined
  /** Over all rows, the settled prefix or not. */
  written: number
  rejected: number

  constructor(saved: LaneState) {
    this.state = saved
    this.written = saved.written
    this.rejected = saved.rejected
  }

  /** A cursor that covers all rows below `at`. */
  mark(cursor: Cursor, at: number, counts: readonly number[]): void {
    this.marks.push({ cursor, at, counts })
    this.advance()
  }

  /** A row that was rejected before it got into a frame. */
  refuse(ordinal: number): void {
    this.refused.push(ordinal)
    this.rejected++
    this.advance()
  }

  /** A frame is on its way. Frames come in the order of their ordinals. */
  take(frame: FrameRows<unknown>): void {
    const entry = { frame, status: new Uint8Array(frame.count), left: frame.count }
    this.open.push(entry)
    this.byFrame.set(frame, entry)
  }

  settle(frame: FrameRows<unknown>, index: number, outcome: Outcome): void {
    const entry = this.byFrame.get(frame) as Open
    if (entry.status[index] !== 0) return
    entry.status[index] = outcome === 'written' ? WRITTEN : REJECTED
    entry.left--
    if (outcome === 'written') this.written++
    else this.rejected++
    if (entry.left === 0) this.advance()
  }

  settleAll(frame: FrameRows<unknown>): void {
    const entry = this.byFrame.get(frame) as Open
    entry.status.fill(WRITTEN)
    entry.left = 0
    this.written += frame.count
    this.advance()
  }

  /** All rows were read and taken; a lane that is done keeps its counts at the end. */
  finish(expected: number | undefined, counts: readonly number[]): void {
    this.state = { ...this.state, expected, done: true }
    this.finalCounts = counts
  }

  /** No row that was taken is without an answer. */
  get isSettled(): boolean {
    return this.open.length === 0
  }

  /** The position to save now. */
  snapshot(): LaneState {
    this.advance()
    const { state } = this
    const head = this.open[0]
    let { acked, written, rejected } = state
    const done = state.done && this.open.length === 0 && this.refused.length === 0
    if (head !== undefined) {
      for (let i = 0; i < head.frame.count && head.status[i] !== 0; i++) {
        const ordinal = head.frame.ordinalAt(i)
        rejected += this.refusedBetween(acked, ordinal)
        if (head.status[i] === WRITTEN) written++
        else rejected++
        acked = ordinal + 1
      }
    }
    const counts = done && this.finalCounts !== undefined ? this.finalCounts : state.counts
    return { ...state, counts, acked, written, rejected, done }
  }

  /** Moves the prefix over every frame that is settled, and over rows that never got into one. */
  private advance(): void {
    let { acked, written, rejected } = this.state
    for (let head = this.open[0]; head !== undefined && head.left === 0; head = this.open[0]) {
      this.open.shift()
      this.byFrame.delete(head.frame)
      const last = head.frame.endOrdinal - 1
      rejected += this.dropRefused(last)
      for (const status of head.status) {
        if (status === WRITTEN) written++
        else rejected++
      }
      acked = last + 1
    }
    const next = this.open[0]?.frame.ordinalAt(0) ?? Number.POSITIVE_INFINITY
    while (this.refused[0] === acked && acked < next) {
      this.refused.shift()
      rejected++
      acked++
    }
    let { cursor, at, counts } = this.state
    while (this.marks[0] !== undefined && this.marks[0].at <= acked) {
      ;({ cursor, at, counts } = this.marks.shift() as Mark)
    }
    this.state = { ...this.state, cursor, at, counts, acked, written, rejected }
  }

  private refusedBetween(from: number, to: number): number {
    let count = 0
    for (const ordinal of this.refused) if (ordinal >= from && ordinal < to) count++
    return count
  }

  private dropRefused(below: number): number {
    let dropped = 0
    while (this.refused[0] !== undefined && this.refused[0] < below) {
      this.refused.shift()
      dropped++
    }
    return dropped
  }
}
