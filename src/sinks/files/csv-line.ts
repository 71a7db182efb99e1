/** One row as a line of CSV. */
import { EtlError } from '../../errors.js'
import { stringifyJson } from '../../json.js'

export interface CsvDialect {
  readonly delimiter: string
  readonly quote: string
  readonly eol: string
  /** Put `'` before text that a spreadsheet would run as a formula. */
  readonly escapeFormulas: boolean
}

/** What spreadsheets take for the start of a formula, the full-width forms included. */
const FORMULA = /^[=+\-@\t\r\0\uff1d\uff0b\uff0d\uff20]/
/** A number is no formula, whatever its sign. */
const NUMBER = /^[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/

export class CsvLines {
  /** In the order of the file; undefined until the first row names them. */
  columns: readonly string[] | undefined
  private readonly dialect: CsvDialect
  private readonly places = new Map<string, number>()
  private readonly mustQuote: RegExp
  private readonly quotes: RegExp

  constructor(dialect: CsvDialect, columns: readonly string[] | undefined) {
    const { delimiter, quote } = dialect
    this.dialect = dialect
    // White space at an edge and a byte order mark would be lost on readers that trim. Any character of a longer
    // delimiter counts: at the end of a cell it would run into the delimiter.
    this.mustQuote = new RegExp(`[\\r\\n\\ufeff${escaped(delimiter + quote)}]|^\\s|\\s$`)
    this.quotes = new RegExp(escaped(quote), 'g')
    if (columns !== undefined) this.name(columns)
  }

  header(): string {
    return (this.columns ?? []).map((name) => this.text(name)).join(this.dialect.delimiter) + this.dialect.eol
  }

  /** Throws `ETL_CSV_COLUMNS` for a column that the file does not have; a missing one is an empty cell. */
  line(row: Readonly<Record<string, unknown>>): string {
    const { delimiter, eol } = this.dialect
    const keys = Object.keys(row)
    const columns = this.columns ?? keys
    if (keys.length !== columns.length) return this.lineByName(row, keys)
    let line = ''
    for (let i = 0; i < keys.length; i++) {
      if (keys[i] !== columns[i]) return this.lineByName(row, keys)
      const cell = this.cell(row[keys[i] as string])
      line = i === 0 ? cell : line + delimiter + cell
    }
    if (this.columns === undefined) this.name(keys)
    return line + eol
  }

  private lineByName(row: Readonly<Record<string, unknown>>, keys: readonly string[]): string {
    const cells = new Array<string>(this.places.size).fill('')
    for (const key of keys) {
      const place = this.places.get(key)
      if (place === undefined) {
        throw new EtlError(
          'ETL_CSV_COLUMNS',
          `the row has a column ${JSON.stringify(key)} and the file has only ${this.places.size} others; name all of them in the option columns, or leave it out with map()`,
          { context: { column: key } },
        )
      }
      cells[place] = this.cell(row[key])
    }
    return cells.join(this.dialect.delimiter) + this.dialect.eol
  }

  private name(columns: readonly string[]): void {
    if (columns.length === 0) {
      throw new EtlError('ETL_CSV_COLUMNS', 'the first row has no columns, so the file would have none')
    }
    this.columns = [...columns]
    for (const [place, column] of columns.entries()) this.places.set(column, place)
  }

  /** Null is an empty cell and empty text a quoted one, so that both are told apart when they are read. */
  private cell(value: unknown): string {
    switch (typeof value) {
      case 'string':
        return this.text(value)
      case 'number':
        return Number.isFinite(value) ? String(value) : ''
      case 'bigint':
      case 'boolean':
        return String(value)
      case 'object': {
        if (value === null) return ''
        const { toJSON } = value as { toJSON?: unknown }
        if (typeof toJSON !== 'function') return this.text(stringifyJson(value))
        const plain: unknown = toJSON.call(value)
        return typeof plain === 'object' && plain !== null
          ? this.text(stringifyJson(plain))
          : this.cell(plain)
      }
      default:
        return ''
    }
  }

  private text(text: string): string {
    const { quote, escapeFormulas } = this.dialect
    if (text === '') return quote + quote
    const safe = escapeFormulas && FORMULA.test(text) && !NUMBER.test(text) ? `'${text}` : text
    return this.mustQuote.test(safe) ? quote + safe.replace(this.quotes, () => quote + quote) + quote : safe
  }
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
}
