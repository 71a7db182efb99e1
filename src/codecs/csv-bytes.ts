/** Dialects whose marks are single bytes, and where their records and cells end. */
import type { CsvDialect } from './csv-dialect.js'

/** A dialect of single bytes. */
export interface ByteDialect {
  readonly delimiter: number
  /** -1: no quotes. */
  readonly quote: number
  /** The quote itself where quotes are doubled. */
  readonly escape: number
  /** LF, before which a CR belongs to the line break, or CR alone. */
  readonly newline: number
}

/** The dialect in bytes; nothing where it has longer marks, or comments. */
export function byteDialect(dialect: CsvDialect): ByteDialect | undefined {
  const delimiter = byteOf(dialect.delimiter)
  const quote = dialect.quote === null ? -1 : byteOf(dialect.quote)
  const mark = dialect.quote === null ? -1 : byteOf(dialect.escape ?? dialect.quote)
  if (delimiter === undefined || quote === undefined || mark === undefined) return undefined
  if (dialect.comment !== null || delimiter === quote || NUMERIC.test(dialect.delimiter)) return undefined
  return { delimiter, quote, escape: mark, newline: dialect.newline === '\r' ? CR : LF }
}

export const LF = 10
export const CR = 13

/** A delimiter that may stand inside a number is left to the package, which tells no values apart. */
const NUMERIC = /[-.0-9]/

function byteOf(mark: string): number | undefined {
  const code = mark.length === 1 ? mark.charCodeAt(0) : 0
  return code > 0 && code < 0x80 && code !== LF && code !== CR ? code : undefined
}

const CELL = 0
const PLAIN = 1
const QUOTED = 2
/** Behind a quote inside quotes, which closes them unless another one follows. */
const CLOSING = 3
const ESCAPED = 4
/** Behind a closing quote and CR. */
const RETURN = 5
/** Text follows a closing quote: quotes have no meaning up to the end of the line. */
const STRAY = 6

/** Finds where records end, for bytes that come in pieces: each byte of a record that waits is looked at once. */
export class CsvBorder {
  private state = CELL
  private readonly dialect: ByteDialect

  constructor(dialect: ByteDialect) {
    this.dialect = dialect
  }

  /** The next byte begins a record. */
  reset(): void {
    this.state = CELL
  }

  /** The byte behind the record's line break, or -1 where the record goes on; then the next call goes on too. */
  find(bytes: Uint8Array, from: number): number {
    const { delimiter, quote, escape: mark, newline } = this.dialect
    let state = this.state
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at] as number
      if (state === QUOTED) {
        if (byte === quote) state = CLOSING
        else if (byte === mark) state = ESCAPED
        continue
      }
      if (state === ESCAPED) {
        state = QUOTED
        continue
      }
      if (byte === newline) {
        this.state = CELL
        return at + 1
      }
      if (state === CELL) state = byte === quote ? QUOTED : byte === delimiter ? CELL : PLAIN
      else if (state === PLAIN) {
        if (byte === delimiter) state = CELL
      } else if (state === CLOSING) {
        if (byte === quote && mark === quote) state = QUOTED
        else if (byte === delimiter) state = CELL
        else state = byte === CR && newline === LF ? RETURN : STRAY
      } else state = STRAY
    }
    this.state = state
    return -1
  }
}

/** The cells of one record, given without its line break. A cell with text behind its closing quote keeps its quotes. */
export function splitRecord(raw: Buffer, marks: ByteDialect): string[] {
  const { delimiter, quote } = marks
  const cells: string[] = []
  for (let at = 0; ; at++) {
    if (raw[at] === quote) {
      const close = closingQuote(raw, at, marks)
      if (close + 1 < raw.length && raw[close + 1] !== delimiter) {
        cells.push(raw.toString('utf8', at))
        return cells
      }
      cells.push(unescaped(raw.toString('utf8', at + 1, close), marks))
      at = close + 1
    } else {
      const next = raw.indexOf(delimiter, at)
      const end = next === -1 ? raw.length : next
      cells.push(raw.toString('utf8', at, end))
      at = end
    }
    if (at >= raw.length) return cells
  }
}

function closingQuote(raw: Buffer, open: number, { quote, escape: mark }: ByteDialect): number {
  let at = open + 1
  for (; at < raw.length; at++) {
    const byte = raw[at]
    if (byte === quote) {
      if (mark !== quote || raw[at + 1] !== quote) return at
      at++
    } else if (byte === mark) at++
  }
  return at
}

/** What stands inside quotes, with the escape marks taken out. */
export function unescaped(text: string, { quote, escape: mark }: ByteDialect): string {
  const one = String.fromCharCode(quote)
  if (mark === quote) return text.replaceAll(one + one, one)
  const parts = text.split(String.fromCharCode(mark))
  let out = parts[0] as string
  for (let i = 1; i < parts.length; i++) {
    // An empty part stands between a mark and the mark that it escapes.
    if (parts[i] === '' && i + 1 < parts.length) out += String.fromCharCode(mark) + parts[++i]
    else out += parts[i]
  }
  return out
}
