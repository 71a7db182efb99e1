/**
 * Rows that are JSON text into the body of a bulk upload, many at a time. Row by row in JavaScript the calls that
 * copy a few bytes each cost several times as much as the copying.
 */
import type { JsonLines } from '../../contracts.js'
import { byteLane, takeEngine } from './engine.js'

export interface BulkLines {
  /** Rows written, from the first that was asked for on. 0: there is no room for it. */
  readonly count: number
  /** Where the body ends now. */
  readonly end: number
  /** Per row where it starts in the body, behind its action line. */
  readonly starts: Int32Array
  /** Per row where its record ends in the body. */
  readonly ends: Int32Array
}

const MAX_ROWS = 16 * 1024
const MAX_BYTES = 1024 * 1024
const HEAD_AT = 1024
/** One digit, `"}}` and two line breaks. */
const LEAST = 6
const MAX_DIGITS = 16
/** Behind the head the number is kept. */
const HEAD_ROOM = 48
/** Text is copied sixteen bytes at a time. */
const PADDING = 64

/**
 * Writes rows `from` up to `to` at `at`: for each `head`, its ordinal, `"}}`, a line break, the row, a line break.
 * The first row has this `ordinal`, each next one the next. It may write fewer rows than asked for; call it again for
 * the rest. `undefined` where WebAssembly cannot run.
 *
 *     const head = Buffer.from(`{"index":{"_id":"${runId}.${partition}.`)
 *     const done = putBulkLines(text, 0, text.count, head, 41, body, 0)
 */
export function putBulkLines(
  text: JsonLines,
  from: number,
  to: number,
  head: Uint8Array,
  ordinal: number,
  into: Uint8Array,
  at: number,
): BulkLines | undefined {
  if (!byteLane().available) return undefined
  const { bytes, starts, ends } = text
  const first = starts[from] as number
  const room = into.length - at
  let count = 0
  let least = 0
  while (count < MAX_ROWS && from + count < to) {
    const end = ends[from + count] as number
    if (count > 0 && end - first > MAX_BYTES) break
    least += head.length + LEAST + end - (starts[from + count] as number)
    count++
    if (least > room) break
  }
  if (count === 0) return { count, end: at, starts: new Int32Array(0), ends: new Int32Array(0) }
  const last = ends[from + count - 1] as number
  const rowsAt = align(HEAD_AT + head.length + HEAD_ROOM)
  const textAt = align(rowsAt + count * 8)
  const output = align(textAt + last - first + PADDING)
  const outputEnd = output + Math.min(room, least + count * (MAX_DIGITS - 1))
  const engine = takeEngine()
  engine.reserve(outputEnd + PADDING)
  const { memory, code } = engine
  memory.set(head, HEAD_AT)
  memory.set(bytes.subarray(first, last), textAt)
  const places = new Int32Array(memory.buffer, rowsAt, count * 2)
  for (let i = 0; i < count; i++) {
    places[i] = (starts[from + i] as number) - first + textAt
    places[count + i] = (ends[from + i] as number) - first + textAt
  }
  const written = code.bulk(rowsAt, count, HEAD_AT, head.length, ordinal, output, outputEnd)
  const end = code.bulkEnd.value
  into.set(memory.subarray(output, end), at)
  const rowStarts = places.slice(0, written)
  const rowEnds = places.slice(count, count + written)
  for (let i = 0; at > 0 && i < written; i++) {
    rowStarts[i] = (rowStarts[i] as number) + at
    rowEnds[i] = (rowEnds[i] as number) + at
  }
  return { count: written, end: at + end - output, starts: rowStarts, ends: rowEnds }
}

function align(address: number): number {
  return (address + 15) & ~15
}
