/** A source of rows that are there already, with a cursor after every batch. */
import { rowsBatch } from '../batch.js'
import type { Batch, ReadRequest, Source } from '../contracts.js'
import { EtlError, throwIfAborted } from '../errors.js'
import { wholeNumber } from '../internal/options.js'

export interface RowsSourceOptions {
  /** Rows of one batch. Default 100. */
  readonly batchRows?: number | undefined
  /** Throws `ETL_TEST_FAULT` after so many rows. Default: it ends well. */
  readonly failAfterRows?: number | undefined
}

export function rowsSource<R>(rows: readonly R[], options: RowsSourceOptions = {}): Source<R> {
  const batchRows = wholeNumber('batchRows', options.batchRows, 100)
  const { failAfterRows = Number.POSITIVE_INFINITY } = options

  async function* read(request: ReadRequest): AsyncGenerator<Batch<R>> {
    const { row: start } = (request.from as { readonly row: number } | undefined) ?? { row: 0 }
    const last = Math.min(rows.length, failAfterRows, start + (request.limit ?? rows.length))
    for (let at = start; at < last; ) {
      throwIfAborted(request.signal)
      const end = Math.min(last, at + batchRows)
      yield rowsBatch(rows.slice(at, end), { row: end }, { file: 'rows', row: at + 1 })
      at = end
    }
    if (failAfterRows <= rows.length && last >= failAfterRows) {
      throw new EtlError('ETL_TEST_FAULT', `failed after ${failAfterRows} rows, as it was told to`)
    }
    request.expect?.(rows.length)
  }

  return { name: 'rows', fingerprint: `rows:${rows.length}`, read }
}
