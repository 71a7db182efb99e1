/** What travels on a Node stream, row by row or batch by batch, and the checks of it. */
import { isParsed, isRow, kindOf } from '../batch.js'
import type { Batch } from '../contracts.js'
import { EtlError } from '../errors.js'
import { oneOf, wholeNumber } from '../internal/options.js'

/** One row per chunk: convenient, and several times slower. Or one batch per chunk. */
export type By = 'rows' | 'batches'

export interface CollectOptions {
  /** What a chunk of the stream is. Default `'rows'`. */
  readonly by?: By | undefined
  /** Rows collected into one batch at most; fewer when the stream has no more for now. Default 1000. */
  readonly batchRows?: number | undefined
  /** Bytes of one batch, estimated; a batch ends with the row that reaches it. Default 1 MiB. */
  readonly batchBytes?: number | undefined
}

export interface Collecting {
  readonly by: By
  readonly batchRows: number
  readonly batchBytes: number
}

export function collecting(options: CollectOptions): Collecting {
  return {
    by: oneOf('by', options.by ?? 'rows', ['rows', 'batches']),
    batchRows: wholeNumber('batchRows', options.batchRows, 1000),
    batchBytes: wholeNumber('batchBytes', options.batchBytes, 1024 * 1024),
  }
}

/** A batch as it came, or an error that says what came instead. */
export function mustBeBatch<R>(chunk: unknown): Batch<R> {
  if (isRow(chunk)) {
    const batch = chunk as unknown as Batch<R>
    if (!isParsed(batch) || Array.isArray(batch.rows)) return batch
  }
  throw new EtlError(
    'ETL_STREAM_NOT_BATCH',
    `expected a batch, that is an object with rows, and got ${kindOf(chunk)}; use by: 'rows' for single rows`,
  )
}

export function notARow(value: unknown, from: string): EtlError {
  return new EtlError('ETL_STREAM_NOT_ROW', `${from}: expected an object for each row, got ${kindOf(value)}`)
}
