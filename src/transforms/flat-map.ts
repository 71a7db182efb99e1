import { replaceRows } from '../batch.js'
import type { Batch, RunContext, Transform } from '../contracts.js'
import { mustBeRow, refuse } from './shared/refuse.js'

/**
 * Each row becomes the rows that `fn` returns, none or many; they keep the place of their parent. A row on which
 * `fn` throws, or for which it gives anything but objects, is a rejected row and adds none.
 *
 *     flatMap((order: Order) => order.lines.map((line) => ({ order: order.id, ...line })))
 */
export function flatMap<I, O extends object>(fn: (row: I) => Iterable<O>): Transform<I, O> {
  return Object.assign(
    async function* flatMap(input: AsyncIterable<Batch<I>>, context?: RunContext): AsyncGenerator<Batch<O>> {
      for await (const batch of input) {
        const { rows } = batch
        const made: O[] = []
        const parents: number[] = []
        for (let i = 0; i < rows.length; i++) {
          const before = made.length
          try {
            for (const row of fn(rows[i] as I)) {
              mustBeRow(row, 'flatMap')
              made.push(row)
            }
            while (parents.length < made.length) parents.push(i)
          } catch (error) {
            made.length = before
            refuse(batch, i, error, 'flatMap', context)
          }
        }
        if (made.length > 0 || batch.cursor !== undefined) yield replaceRows(batch, made, parents)
      }
    },
    { wants: 'rows', memory: false, count: 'any', label: 'flatMap' } as const,
  )
}
