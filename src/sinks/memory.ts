/**
 * Rows into an array: for tests, examples and small results.
 *
 *     const sink = memorySink<Order>()
 *     await from(csvSource<Order>('orders.csv')).to(sink).run()
 *     console.log(sink.rows.length)
 *
 * A second run adds its rows. Nothing bounds the array but the memory of the machine.
 */
import type { Row, RowSink } from '../contracts.js'
import { EtlError } from '../errors.js'

export interface MemorySink<R> extends RowSink<R> {
  /** The rows written so far. */
  readonly rows: readonly R[]
}

export function memorySink<R = Row>(): MemorySink<R> {
  const rows: R[] = []
  let isOpen = false
  return {
    name: 'memory',
    wants: 'rows',
    delivery: 'once',
    rows,
    async open({ saved }) {
      const length = (saved as { readonly length: number } | undefined)?.length
      if (length !== undefined) {
        if (rows.length < length) {
          throw new EtlError(
            'ETL_SINK_STATE_LOST',
            `the checkpoint counts on ${length} rows in memory, which has ${rows.length}: resume in the process and with the sink that began, or delete the checkpoint to start over`,
          )
        }
        rows.length = length
      }
      isOpen = true
    },
    async write(frame) {
      if (!isOpen) throw new EtlError('ETL_SINK_CLOSED', 'the memory sink is closed, or was never opened')
      for (const row of frame.rows) rows.push(row)
      return undefined
    },
    flush: async () => ({ length: rows.length }),
    async close() {
      isOpen = false
    },
  }
}
