import { select } from '../batch.js'
import type { Batch, RunContext, Transform } from '../contracts.js'
import { refuse } from './shared/refuse.js'

/**
 * Keeps the rows for which `fn` returns something true. The rows that pass are not touched, so that JSON text
 * they came as is kept. A row on which `fn` throws is a rejected row (`ETL_TRANSFORM_THREW`).
 *
 *     filter((order: Order) => order.qty > 0)
 */
export function filter<I, O extends I>(fn: (row: I) => row is O): Transform<I, O>
export function filter<I>(fn: (row: I) => unknown): Transform<I, I>
export function filter<I>(fn: (row: I) => unknown): Transform<I, I> {
  return Object.assign(
    async function* filter(input: AsyncIterable<Batch<I>>, context?: RunContext): AsyncGenerator<Batch<I>> {
      for await (const batch of input) {
        const { rows } = batch
        const kept: number[] = []
        for (let i = 0; i < rows.length; i++) {
          try {
            if (fn(rows[i] as I)) kept.push(i)
          } catch (error) {
            refuse(batch, i, error, 'filter', context)
          }
        }
        if (kept.length > 0 || batch.cursor !== undefined) yield select(batch, kept)
      }
    },
    { wants: 'rows', memory: false, count: 'fewer', label: 'filter' } as const,
  )
}
