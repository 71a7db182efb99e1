/** Puts together what one call of a decoder found: rows as text in parts, and what another engine said. */
import { originAt, parse, rowsBatch, size, textBatch } from '../../batch.js'
import type { Batch, JsonLines, Origin } from '../../contracts.js'
import { type Decoded, Positions } from '../decoder.js'
import type { Part } from './engine.js'

/** Rows of one call and their numbers. */
export class Gathered {
  count = 0
  private readonly parts: Part[] = []
  /** From which row of the batch on the numbers run without a gap, and the number there. */
  private readonly runs: { from: number; row: number }[]

  /** `row`: number of the first row. */
  constructor(row: number) {
    this.runs = [{ from: 0, row }]
  }

  readonly add = (part: Part): void => {
    if (part.starts.length === 0) return
    this.parts.push(part)
    this.count += part.starts.length
  }

  /** The number of the next row. */
  next(): number {
    const run = this.runs.at(-1) as { from: number; row: number }
    return run.row + this.count - run.from
  }

  /** A row with the next number was no row of the batch. */
  leaveOut(): void {
    const row = this.next() + 1
    if (this.runs.at(-1)?.from === this.count) this.runs.pop()
    this.runs.push({ from: this.count, row })
  }

  batch<R>(file: string | undefined): Batch<R> {
    const { count } = this
    if (count === 0) return rowsBatch<R>([])
    const { bytes, starts, ends, at, lines } = this.joined()
    const first = this.runs[0] as { row: number }
    const text: JsonLines = { bytes, starts, ends, count }
    const origin: Origin = {
      ...(file === undefined ? {} : { file }),
      row: first.row,
      lines,
      bytes: at,
      ...(this.runs.some(({ from }) => from > 0 && from < count) ? { rows: this.distances() } : {}),
    }
    return textBatch<R>(text, undefined, origin)
  }

  private distances(): Float64Array {
    const distances = new Float64Array(this.count)
    const first = this.runs[0] as { row: number }
    this.runs.forEach(({ from, row }, index) => {
      const to = this.runs[index + 1]?.from ?? this.count
      for (let i = from; i < to; i++) distances[i] = row - first.row + i - from
    })
    return distances
  }

  private joined(): Part {
    const [only] = this.parts
    if (only !== undefined && this.parts.length === 1) return only
    const starts = new Int32Array(this.count)
    const ends = new Int32Array(this.count)
    const at = new Float64Array(this.count)
    const lines = new Float64Array(this.count)
    let index = 0
    let offset = 0
    for (const part of this.parts) {
      const rows = part.starts.length
      for (let i = 0; i < rows; i++) {
        starts[index + i] = (part.starts[i] as number) + offset
        ends[index + i] = (part.ends[i] as number) + offset
      }
      at.set(part.at, index)
      lines.set(part.lines, index)
      index += rows
      offset += part.bytes.length
    }
    return { bytes: Buffer.concat(this.parts.map((part) => part.bytes)), starts, ends, at, lines }
  }
}

/** One answer after the other as one. Text stays text unless both have rows in different forms. */
export function followedBy<R>(
  one: Decoded<R> | undefined,
  other: Decoded<R> | undefined,
): Decoded<R> | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return {
    batch: joinBatches(one.batch, other.batch),
    rejected: [...one.rejected, ...other.rejected],
    resume: other.resume,
    error: other.error,
  }
}

function joinBatches<R>(one: Batch<R>, other: Batch<R>): Batch<R> {
  if (size(one) === 0) return other
  if (size(other) === 0) return one
  const [first, second] = [parse(one, refuseNothing), parse(other, refuseNothing)]
  const positions = new Positions(one.origin?.file)
  for (const batch of [first, second]) {
    for (let i = 0; i < size(batch); i++) {
      const { row, line, byte } = originAt(batch, i) as { row: number; line: number; byte: number }
      positions.add(row, line, byte)
    }
  }
  return rowsBatch([...first.rows, ...second.rows], undefined, positions.origin())
}

function refuseNothing(_index: number, text: string, reason: string): never {
  throw new Error(`the byte lane wrote a line that does not parse: ${reason}: ${text.slice(0, 200)}`)
}
