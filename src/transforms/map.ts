import { replaceRows } from '../batch.js'
import type { Batch, RunContext, Transform } from '../contracts.js'
import { mustBeRow, refuse } from './shared/refuse.js'

/**
 * Each row becomes what `fn` returns: a new object. A row on which `fn` throws, or for which it returns anything
 * but an object, is a rejected row (`ETL_TRANSFORM_THREW`, `ETL_TRANSFORM_RETURN`).
 *
 *     map((order: Order) => ({ ...order, total: order.qty * order.price }))
 */
export function map<I, O extends object>(fn: (row: I) => O): Transform<I, O> {
  return Object.assign(
    async function* map(input: AsyncIterable<Batch<I>>, context?: RunContext): AsyncGenerator<Batch<O>> {
      for await (const batch of input) {
        const { rows } = batch
        const made: O[] = []
        let parents: number[] | undefined
        for (let i = 0; i < rows.length; i++) {
          try {
            const row = fn(rows[i] as I)
            mustBeRow(row, 'map')
            made.push(row)
            parents?.push(i)
          } catch (error) {
            parents ??= made.map((_, index) => index)
            refuse(batch, i, error, 'map', context)
          }
        }
        if (made.length > 0 || batch.cursor !== undefined) yield replaceRows(batch, made, parents)
      }
    },
    { wants: 'rows', memory: false, count: 'same', label: 'map' } as const,
  )
}
