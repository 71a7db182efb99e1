/**
 * Rows to a function of yours, frame by frame.
 *
 *     await from(csvSource('orders.csv'))
 *       .to(callbackSink(async (rows, { signal }) => { await store.insertMany(rows, { signal }) }, { rows: 500 }))
 *       .run()
 *
 * Rows are written when the function, or the promise it returns, is done. A throw fails the run; an `EtlError`
 * with the verdict `again` is tried again first, with the same rows: delivery is at least once, and exact only if
 * the function can tell rows by `ordinalAt`.
 */
import type { Position, Row, RowSink, SinkLimits, WriteResult } from '../contracts.js'
import { EtlError } from '../errors.js'
import { invalidOption, wholeNumber } from '../internal/options.js'

export interface CallbackInfo {
  /** Aborts when the run is cut off: give it to whatever you wait for. */
  readonly signal: AbortSignal | undefined
  /** 1 for the first try of these rows. */
  readonly attempt: number
  readonly partition: string
  /** The row's number within its partition, the same on every try and in a resumed run. */
  readonly ordinalAt: (index: number) => number
  /** Where the row comes from, as far as the source tells. */
  readonly positionAt: (index: number) => Position | undefined
}

/** Nothing where all rows were written, or the rows that were not. */
// biome-ignore lint/suspicious/noConfusingVoidType: a function that returns nothing is the usual case
export type CallbackAnswer = WriteResult | undefined | void

export function callbackSink<R = Row>(
  write: (rows: readonly R[], info: CallbackInfo) => Promise<CallbackAnswer> | CallbackAnswer,
  limits: SinkLimits = {},
): RowSink<R> {
  if (typeof write !== 'function') throw invalidOption('write', 'a function', write)
  for (const name of ['rows', 'bytes', 'rowBytes', 'concurrency'] as const) {
    wholeNumber(`limits.${name}`, limits[name], undefined)
  }
  wholeNumber('limits.ageMs', limits.ageMs, undefined, 0)
  let isOpen = false
  return {
    name: 'callback',
    wants: 'rows',
    limits,
    async open() {
      isOpen = true
    },
    async write(frame, { signal, attempt }) {
      if (!isOpen) throw new EtlError('ETL_SINK_CLOSED', 'the callback sink is closed, or was never opened')
      const { rows, partition, ordinalAt, positionAt } = frame
      const answer = await write(rows, { signal, attempt, partition, ordinalAt, positionAt })
      return answer ?? undefined
    },
    async close() {
      isOpen = false
    },
  }
}
