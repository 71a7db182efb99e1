/** What the transforms that call a function of the user's do about a row on which it fails. */
import { isRow, kindOf, originAt } from '../../batch.js'
import type { Batch, RejectedRow, RunContext } from '../../contracts.js'
import { EtlError, messageOf } from '../../errors.js'

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
