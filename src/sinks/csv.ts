/**
 * Rows into a CSV file. The file appears when the run has succeeded: until then it is `<path>.partial`. With a
 * checkpoint a resumed run goes on in it, and each row is there once.
 *
 *     await from(jsonlSource('orders.jsonl')).to(csvSink('orders.csv', { columns: ['id', 'qty'] })).run()
 *
 * A null is an empty cell, empty text is `""`, objects and arrays are JSON text. A row with a column that the file
 * does not have is a rejected row (`ETL_CSV_COLUMNS`). Text that a spreadsheet would run as a formula gets a `'` in
 * front, unless `formulas` is `'keep'`. Errors of the file are those of `jsonlSink`. It adds to no existing file.
 */
import { resolve } from 'node:path'
import { putText, rowAt } from '../batch.js'
import type { BodySink, Encoder, Json, Row } from '../contracts.js'
import { throwIfAborted } from '../errors.js'
import { invalidOption, nonEmptyString, oneOf } from '../internal/options.js'
import { type CsvDialect, CsvLines } from './files/csv-line.js'
import { OutputFile, savedLengthOf } from './files/output-file.js'

export interface CsvSinkOptions {
  /** Names and order of the columns. Default: those of the first row. */
  readonly columns?: readonly string[] | undefined
  /** One or more characters. Default `,`. */
  readonly delimiter?: string | undefined
  /** Begin with the names of the columns. Default true. */
  readonly header?: boolean | undefined
  /** One character, doubled inside quotes. Default `"`. */
  readonly quote?: string | undefined
  /** Default `\n`. */
  readonly eol?: '\n' | '\r\n' | undefined
  /** Text that begins like a formula: `'escape'` puts `'` before it, `'keep'` does not. Default `'escape'`. */
  readonly formulas?: 'escape' | 'keep' | undefined
  /** Compress. Default false. */
  readonly gzip?: boolean | undefined
}

const ROW_BYTES = 16 * 1024 * 1024

/** Beyond the length: without them a resumed run could name other columns, or the header twice. */
interface CsvState {
  readonly columns: readonly string[] | undefined
  readonly headed: boolean
}

export function csvSink<R extends object = Row>(path: string, options: CsvSinkOptions = {}): BodySink<R> {
  nonEmptyString('path', path)
  const dialect = dialectOf(options)
  const { columns, header = true, gzip = false } = options
  if (columns?.length === 0) throw invalidOption('columns', 'at least one name', columns)
  if (columns !== undefined && new Set(columns).size < columns.length)
    throw invalidOption('columns', 'names that differ', columns)
  const file = new OutputFile({ path, append: false, gzip })
  let lines = new CsvLines(dialect, columns)
  let headed = !header

  const writeHeader = async (): Promise<void> => {
    if (headed || lines.columns === undefined) return
    await file.write(Buffer.from(lines.header()))
    headed = true
  }

  return {
    name: 'csv',
    wants: 'rows',
    delivery: 'once',
    fingerprint: `csv:${resolve(path)}`,
    limits: { rowBytes: ROW_BYTES, concurrency: 1 },
    encoder: (): Encoder<R> => ({
      put: (batch, index, _ordinal, into, at) =>
        putText(lines.line(rowAt(batch, index) as Readonly<Record<string, unknown>>), into, at),
    }),
    async open(context) {
      const saved = context.saved as Partial<CsvState> | undefined
      lines = new CsvLines(dialect, saved?.columns ?? columns)
      headed = !header || saved?.headed === true
      await file.open(context, savedLengthOf(context.saved, path))
    },
    async write(frame, context) {
      throwIfAborted(context.signal)
      if (frame.count === 0) return undefined
      await writeHeader()
      await file.write(frame.body)
      return undefined
    },
    async flush() {
      await writeHeader()
      await file.flush()
      return { length: file.length, columns: lines.columns, headed } satisfies Json
    },
    close: (ok) => file.close(ok),
  }
}

function dialectOf(options: CsvSinkOptions): CsvDialect {
  const { delimiter = ',', quote = '"', eol = '\n', formulas = 'escape' } = options
  if (typeof quote !== 'string' || quote.length !== 1 || /[\s\w]/.test(quote))
    throw invalidOption('quote', 'one character that is no letter, digit or space', quote)
  if (
    typeof delimiter !== 'string' ||
    delimiter === '' ||
    /[\r\n]/.test(delimiter) ||
    delimiter.includes(quote)
  )
    throw invalidOption('delimiter', 'characters without a line break and without the quote', delimiter)
  oneOf('formulas', formulas, ['escape', 'keep'])
  if (eol !== '\n' && eol !== '\r\n') throw invalidOption('eol', '\\n or \\r\\n', eol)
  return { delimiter, quote, eol, escapeFormulas: formulas === 'escape' }
}
