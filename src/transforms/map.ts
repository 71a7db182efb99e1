import { isRow, kindOf, originAt, replaceRows } from '../batch.js'
import type { Batch, RejectedRow, RunContext, Transform } from '../contracts.js'
import { EtlError, messageOf } from '../errors.js'

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

/** Throws unless the value can be a row. */
export function mustBeRow(value: unknown, verb: string): void {
  if (isRow(value) && !(value instanceof Promise)) return
  const got = value instanceof Promise ? 'a promise (use an async transform in .through())' : kindOf(value)
  throw new EtlError(
    'ETL_TRANSFORM_RETURN',
    `the function given to ${verb} returned ${got}; expected an object`,
  )
}

/** Hands over a row on which a user's function failed, or throws where nobody takes it. */
export function refuse(
  batch: Batch<unknown>,
  index: number,
  error: unknown,
  verb: string,
  context: RunContext | undefined,
): void {
  const own = error instanceof EtlError && error.code === 'ETL_TRANSFORM_RETURN'
  const rejected: RejectedRow = {
    row: batch.rows[index],
    code: own ? error.code : 'ETL_TRANSFORM_THREW',
    reason: own ? error.message : `the function given to ${verb} threw: ${messageOf(error)}`,
    position: originAt(batch, index),
  }
  if (context?.reject === undefined) {
    throw new EtlError(rejected.code, rejected.reason, { cause: error, context: { ...rejected.position } })
  }
  context.reject(rejected)
}
