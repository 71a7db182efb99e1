/**
 * CSV records over csv-parse: cells as text with the exact place of each record. csv-parse counts a CRLF inside
 * quotes as two lines, keeps a record of odd length to itself and reads on after text behind a closing quote;
 * so lines, lengths and quotes are looked after here, from the bytes of each record.
 */
import { type Info, Parser } from 'csv-parse'
import { EtlError } from '../errors.js'
import {
  type CsvDialect,
  longRecord,
  type OpenRecord,
  unclosedQuote,
  withoutLineBreak,
} from './csv-dialect.js'
import { Carry, countByte, DEFAULT_MAX_ROW_BYTES, place, rowTooLarge } from './decoder.js'

export { type CsvDialect, recordShape } from './csv-dialect.js'

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
    onRecord({
      cells,
      start,
      end,
      line,
      raw: () => withoutLineBreak(bytes.subarray(from, to), dialect.newline),
    })
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
    if (carry.length > limit + LOOK_AHEAD) failure = longRecord(limit, waiting())
    return failure
  }

  /** The record that has not ended. */
  function waiting(): OpenRecord {
    const bytes = carry.take()
    const skip = passComments(bytes, 0)
    return { dialect, bytes: bytes.subarray(skip), at: place(file, setup.nextRow(), line, byte + skip) }
  }

  function translate(error: Error): EtlError {
    if ((error as { code?: string }).code === 'CSV_QUOTE_NOT_CLOSED') return unclosedQuote(waiting(), error)
    const row = setup.nextRow()
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
