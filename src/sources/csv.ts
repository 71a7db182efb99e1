/**
 * CSV files and streams.
 *
 *     const orders = csvSource<Order>('orders-*.csv.gz', { types: { zip: 'string' } })
 *     for await (const batch of orders.read({})) console.log(batch.rows.length)
 *
 * One partition per file. Every batch of a file carries a cursor; streams have none. A record with too many or
 * too few cells is a rejected row (`ETL_CSV_COLUMNS`). A quote that is never closed (`ETL_CSV_UNCLOSED_QUOTE`), or
 * text behind a closing one (`ETL_CSV_QUOTE`), ends the read: what follows could be cut anywhere.
 * It does not trim cells, and does not guess decimal commas or local dates: those stay text.
 */
import { CSV_COLUMN_TYPES, type CsvColumnType } from '../codecs/csv-types.js'
import type { Row, Source } from '../contracts.js'
import { invalidOption, oneOf, wholeNumber } from '../internal/options.js'
import { csvFormat } from './files/formats.js'
import type { FileInput } from './files/input.js'
import type { FileOptions } from './files/setup.js'
import { filesSource } from './files/source.js'

export interface CsvSourceOptions extends FileOptions {
  /** One or more characters. Default: found among `,` tab `;` and `|`. */
  readonly delimiter?: string | undefined
  /** `null`: quotes have no meaning. Default `"`. */
  readonly quote?: string | null | undefined
  /** Stands before a quote inside quotes. Default: the quote itself. */
  readonly escape?: string | undefined
  /** Lines that begin with it are passed over. Default: none. */
  readonly comment?: string | undefined
  /** The first record names the columns. `'auto'` guesses. Default `true`, or `false` with `columns`. */
  readonly header?: boolean | 'auto' | undefined
  /** Names instead of those in the file. */
  readonly columns?: readonly string[] | undefined
  /**
   * Declared types by column; the others are inferred over a sample. `false`: everything is text.
   * A cell that does not fit stays text.
   */
  readonly types?: false | Readonly<Record<string, CsvColumnType>> | undefined
  /** A cell that does not fit its type rejects the row (`ETL_CSV_TYPE`). Default `false`. */
  readonly strict?: boolean | undefined
  /** Rows of each file that types are inferred from. Default 1000. */
  readonly sampleRows?: number | undefined
  /** `'fill'`: missing cells are null, surplus ones become `column_<n>`. Default `'reject'`. */
  readonly ragged?: 'reject' | 'fill' | undefined
}

export function csvSource<R = Row>(input: FileInput, options: CsvSourceOptions = {}): Source<R> {
  checkCsvOptions(options)
  const format = csvFormat(options)
  return filesSource<R>('csv', input, options, [format], () => format)
}

function checkCsvOptions(options: CsvSourceOptions): void {
  const { delimiter, quote, escape: escapeMark, comment, types } = options
  for (const [name, text] of Object.entries({ delimiter, quote, escape: escapeMark, comment })) {
    if (text === undefined || (text === null && name === 'quote')) continue
    if (typeof text !== 'string' || text === '' || /[\r\n]/.test(text)) {
      throw invalidOption(name, 'characters without a line break', text)
    }
    if (name !== 'quote' && name !== 'escape' && text === (quote === undefined ? '"' : quote)) {
      throw invalidOption(name, 'something else than the quote', text)
    }
  }
  if (options.header !== 'auto' && options.header !== undefined && typeof options.header !== 'boolean') {
    throw invalidOption('header', "true, false or 'auto'", options.header)
  }
  if (options.columns?.length === 0) throw invalidOption('columns', 'at least one name', options.columns)
  if (types !== undefined && types !== false) {
    for (const [column, type] of Object.entries(types)) oneOf(`types.${column}`, type, CSV_COLUMN_TYPES)
  }
  if (options.ragged !== undefined) oneOf('ragged', options.ragged, ['reject', 'fill'])
  wholeNumber('sampleRows', options.sampleRows, undefined)
}
