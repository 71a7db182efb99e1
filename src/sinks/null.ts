/**
 * Rows to nowhere, counted: for dry runs and for measuring a source.
 *
 *     const report = await from(jsonlSource('events.jsonl')).to(nullSink()).run()
 *
 * It asks for the cheapest form of the rows, so a source need not parse them. Use `callbackSink` to look at them.
 */
import type { RowSink } from '../contracts.js'

export interface NullSink extends RowSink<unknown> {
  /** Rows written so far. */
  readonly count: number
}

/** Wide enough that cutting frames costs nothing. */
const FRAME_ROWS = 100_000

export function nullSink(): NullSink {
  let count = 0
  return {
    name: 'null',
    wants: 'any',
    limits: { rows: FRAME_ROWS },
    get count() {
      return count
    },
    async write(frame) {
      count += frame.count
      return undefined
    },
  }
}
