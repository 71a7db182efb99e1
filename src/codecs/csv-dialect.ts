/** How a CSV text is written, and what can be wrong with the quotes of a record. */
import { EtlError } from '../errors.js'
import { countByte, type Place, place, rowTooLarge } from './decoder.js'

/** How a CSV text is written. Plain JSON. */
export interface CsvDialect {
  readonly delimiter: string
  /** `null`: no quotes. */
  readonly quote: string | null
  /** Stands before a quote inside quotes; default the quote itself. */
  readonly escape: string | null
  /** Lines that begin with it are passed over. */
  readonly comment: string | null
  /** `'\n'` also means CRLF. */
  readonly newline: '\n' | '\r'
}

/** The bytes without the line break that ends them, if one does. */
export function withoutLineBreak(bytes: Buffer, newline: CsvDialect['newline']): Buffer {
  const last = bytes.length - 1
  if (newline === '\r') return bytes[last] === 13 ? bytes.subarray(0, last) : bytes
  if (bytes[last] !== 10) return bytes
  return bytes.subarray(0, bytes[last - 1] === 13 ? last - 1 : last)
}

/** A record whose end has not come. */
export interface OpenRecord {
  readonly dialect: CsvDialect
  readonly bytes: Buffer
  readonly at: Place
}

/** Refuses a record that has grown over the limit; an open quote is the usual reason. */
export function longRecord(limit: number, record: OpenRecord): EtlError {
  const open = openQuote(record)
  const hint =
    open === undefined ? '' : `; a quote opened on line ${open.line} (byte ${open.byte}) is not closed`
  return rowTooLarge(limit, record.at, hint)
}

/** Refuses the last record of an input that ends inside quotes. */
export function unclosedQuote(record: OpenRecord, cause?: Error): EtlError {
  const { file, row } = record.at
  const { line, byte } = openQuote(record) ?? record.at
  return new EtlError(
    'ETL_CSV_UNCLOSED_QUOTE',
    `a quote opened on line ${line} (${file ?? 'input'}, row ${row}, byte ${byte}) is not closed before the end of the input; close it, or pass quote: null if quotes have no meaning`,
    { context: { ...place(file, row, line, byte) }, cause },
  )
}

function openQuote({ dialect, bytes, at }: OpenRecord): { line: number; byte: number } | undefined {
  const { open } = recordShape(bytes, dialect)
  if (open === undefined) return undefined
  return { byte: at.byte + open, line: at.line + countByte(bytes, dialect.newline.charCodeAt(0), 0, open) }
}

/** What the quotes of a record are: which cells stand in quotes, and what is wrong with them. */
export interface RecordShape {
  readonly quoted: readonly boolean[]
  /** Where a quote opens that nothing closes. */
  readonly open?: number
  /** Where text follows a closing quote. */
  readonly stray?: number
}

/** Looks at the quotes of one record; only for the few records where the cells do not tell. */
export function recordShape(bytes: Buffer, dialect: CsvDialect, from = 0): RecordShape {
  const quoted: boolean[] = []
  if (dialect.quote === null) return { quoted }
  const delimiter = Buffer.from(dialect.delimiter)
  const quote = Buffer.from(dialect.quote)
  const escapeMark =
    dialect.escape === null || dialect.escape === dialect.quote ? undefined : Buffer.from(dialect.escape)
  const is = (what: Buffer, at: number) =>
    at + what.length <= bytes.length && bytes.compare(what, 0, what.length, at, at + what.length) === 0
  for (let at = from; at <= bytes.length; ) {
    const opens = at < bytes.length && is(quote, at)
    quoted.push(opens)
    if (opens) {
      const start = at
      at += quote.length
      for (;;) {
        if (at >= bytes.length) return { quoted, open: start }
        if (escapeMark !== undefined && is(escapeMark, at)) at += escapeMark.length + 1
        else if (!is(quote, at)) at++
        else if (escapeMark === undefined && is(quote, at + quote.length)) at += quote.length * 2
        else break
      }
      at += quote.length
      if (at >= bytes.length) break
      if (!is(delimiter, at)) return { quoted, stray: at }
    } else {
      const next = bytes.indexOf(delimiter, at)
      if (next === -1) break
      at = next
    }
    at += delimiter.length
  }
  return { quoted }
}
