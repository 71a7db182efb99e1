/**
 * CSV records over csv-parse: cells as text with the exact place of each record. csv-parse counts a CRLF inside
 * quotes as two lines, keeps a record of odd length to itself and reads on after text behind a closing quote;
 * so lines, lengths and quotes are looked after here, from the bytes of each record.
 */
import { type Info, Parser } from 'csv-parse'
import { EtlError } from '../errors.js'
import { Carry, countByte, DEFAULT_MAX_ROW_BYTES, place, rowTooLarge } from './decoder.js'

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

export interface CsvRecord {
  readonly cells: string[]
  /** First byte, and the byte after the line break. */
  readonly start: number
  readonly end: number
  readonly line: number
  /** The record's own bytes without its line break. */
  readonly raw: () => Buffer
}

export interface CsvRecords {
  /** The error ends the input; records before it were handed over. */
  readonly push: (bytes: Uint8Array) => EtlError | undefined
  readonly end: () => EtlError | undefined
  /** First byte that belongs to no record handed over, and its line. */
  readonly at: () => { byte: number; line: number }
}

export interface CsvRecordsSetup {
  readonly dialect: CsvDialect
  readonly file?: string | undefined
  readonly byte?: number | undefined
  readonly line?: number | undefined
  readonly maxRowBytes?: number | undefined
  /** The number of the next row, for messages. */
  readonly nextRow: () => number
  readonly onRecord: (record: CsvRecord) => void
}

/** csv-parse looks a few bytes ahead before it gives a record. */
const LOOK_AHEAD = 64

/** csv-parse without a stream around it: records are handed over while the bytes are pushed. */
class Engine extends Parser {
  private readonly hand: (cells: string[], info: Info) => void

  constructor(dialect: CsvDialect, hand: (cells: string[], info: Info) => void) {
    super({
      bom: false,
      columns: false,
      delimiter: dialect.delimiter,
      quote: dialect.quote === null ? false : dialect.quote,
      escape: dialect.quote === null ? null : (dialect.escape ?? dialect.quote),
      comment: dialect.comment,
      comment_no_infix: true,
      record_delimiter: dialect.newline === '\r' ? ['\r'] : ['\r\n', '\n'],
      relax_column_count: true,
      relax_quotes: true,
      skip_empty_lines: false,
    })
    this.hand = hand
  }

  override push(cells: string[] | null): boolean {
    if (cells !== null) this.hand(cells, this.info)
    return true
  }

  feed(bytes: Buffer): Error | undefined {
    let failure: Error | undefined
    this._transform(bytes, 'buffer' as BufferEncoding, (error) => {
      failure = error ?? undefined
    })
    return failure
  }

  finish(): Error | undefined {
    let failure: Error | undefined
    this._flush((error) => {
      failure = error ?? undefined
    })
    return failure
  }
}

export function csvRecords(setup: CsvRecordsSetup): CsvRecords {
  const { dialect, file, onRecord } = setup
  const limit = setup.maxRowBytes ?? DEFAULT_MAX_ROW_BYTES
  const lineEnd = dialect.newline === '\r' ? 13 : 10
  const comment = dialect.comment === null ? undefined : Buffer.from(dialect.comment)
  const origin = setup.byte ?? 0
  const carry = new Carry()
  let byte = origin
  let line = setup.line ?? 1
  let piece: Buffer | undefined
  let failure: EtlError | undefined
  /** The bytes since the last record, from `dataAt` on; joined when the first record of a piece ends. */
  let data: Buffer | undefined
  let dataAt = 0

  const engine = new Engine(dialect, (cells, info) => {
    if (failure !== undefined) return
    if (data === undefined) {
      dataAt = byte
      data = carry.take(piece)
    }
    const end = origin + info.bytes
    let start = byte
    if (comment !== undefined) start = dataAt + passComments(data, start - dataAt)
    if (end - start > limit) {
      failure = rowTooLarge(limit, place(file, setup.nextRow(), line, start))
      return
    }
    const bytes = data
    const from = start - dataAt
    const to = end - dataAt
    onRecord({ cells, start, end, line, raw: () => withoutLineBreak(bytes.subarray(from, to)) })
    line += countByte(data, lineEnd, from, to)
    byte = end
  })

  function passComments(bytes: Buffer, from: number): number {
    let at = from
    while (comment !== undefined && bytes.subarray(at, at + comment.length).equals(comment)) {
      const border = bytes.indexOf(lineEnd, at)
      if (border === -1) return at
      at = border + 1
      line++
    }
    return at
  }

  function settle(error: Error | undefined): EtlError | undefined {
    if (data !== undefined) {
      const rest = data.subarray(byte - dataAt)
      data = undefined
      carry.add(rest)
    } else if (piece !== undefined) carry.add(piece)
    piece = undefined
    if (failure !== undefined) return failure
    if (error !== undefined) {
      failure = translate(error)
      return failure
    }
    if (carry.length > limit + LOOK_AHEAD) {
      const open = openQuote()
      failure = rowTooLarge(
        limit,
        place(file, setup.nextRow(), line, byte),
        open === undefined ? '' : `; a quote opened on line ${open.line} (byte ${open.byte}) is not closed`,
      )
    }
    return failure
  }

  function openQuote(): { line: number; byte: number } | undefined {
    const bytes = carry.take()
    carry.add(bytes)
    const shape = recordShape(bytes, dialect, comment === undefined ? 0 : passComments(bytes, 0))
    if (shape.open === undefined) return undefined
    return { byte: byte + shape.open, line: line + countByte(bytes, lineEnd, 0, shape.open) }
  }

  function translate(error: Error): EtlError {
    const row = setup.nextRow()
    const code = (error as { code?: string }).code
    if (code === 'CSV_QUOTE_NOT_CLOSED') {
      const open = openQuote() ?? { line, byte }
      return new EtlError(
        'ETL_CSV_UNCLOSED_QUOTE',
        `a quote opened on line ${open.line} (${file ?? 'input'}, row ${row}, byte ${open.byte}) is not closed before the end of the input; close it, or pass quote: null if quotes have no meaning`,
        { context: { ...place(file, row, open.line, open.byte) }, cause: error },
      )
    }
    return new EtlError('ETL_CSV_BROKEN', `broken CSV in row ${row} (line ${line}): ${error.message}`, {
      context: { ...place(file, row, line, byte) },
      cause: error,
    })
  }

  return {
    push(bytes) {
      if (failure !== undefined || bytes.length === 0) return failure
      piece = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      return settle(engine.feed(piece))
    },
    end() {
      if (failure !== undefined) return failure
      return settle(engine.finish())
    },
    at: () => ({ byte, line }),
  }
}

function withoutLineBreak(bytes: Buffer): Buffer {
  let end = bytes.length
  if (bytes[end - 1] === 10) end--
  if (bytes[end - 1] === 13) end--
  return bytes.subarray(0, end)
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
