/** Reads one record at a time from bytes into typed values, as long as it is a plain row of the layout. */
import { type ByteDialect, CR, LF, unescaped } from './csv-bytes.js'
import {
  BOOLEAN_CELL,
  booleanAt,
  cellKind,
  DATE_CELL,
  DECIMAL_CELL,
  isPlainDay,
  isPlainTime,
  MAX_DIGITS,
  TEN,
  TEXT_CELL,
  TIME_CELL,
  WHOLE_CELL,
} from './csv-cells.js'
import { type CellReader, type CsvColumnType, readerOf } from './csv-types.js'

/** V8 makes a longer slice a view that keeps the whole text alive; such cells are copied instead. */
const MAX_SLICE = 12
const MINUS = 0x2d
const DOT = 0x2e
const ZERO = 0x30
const NINE = 0x39

type Slices = Buffer & {
  latin1Slice(start: number, end: number): string
  utf8Slice(start: number, end: number): string
}

export class CsvRowReader {
  /** Of the row read last, one per column. */
  readonly values: unknown[]
  /** Columns of that row whose cells do not fit their types. */
  readonly drifted: number[] = []
  /** Line breaks inside its quotes. */
  breaks = 0
  private readonly marks: ByteDialect
  private readonly kinds: readonly number[]
  private readonly readers: readonly (CellReader | undefined)[]
  private readonly strict: boolean
  private bytes = Buffer.alloc(0) as Slices
  private text = ''
  private stop = 0
  private added = false

  constructor(marks: ByteDialect, types: readonly CsvColumnType[], strict: boolean) {
    this.marks = marks
    this.kinds = types.map(cellKind)
    this.readers = types.map(readerOf)
    this.strict = strict
    this.values = new Array<unknown>(types.length).fill(null)
  }

  /** What follows is read from these bytes; a line break stands before `stop`, `added` or of the input. */
  open(bytes: Buffer, stop: number, added: boolean): void {
    this.bytes = bytes as Slices
    this.text = this.bytes.latin1Slice(0, stop)
    this.stop = stop
    this.added = added
  }

  /** Reads the row that begins there. Gives the byte behind its line break, or -1 where it is no plain row. */
  row(start: number): number {
    const { bytes, kinds, values, text } = this
    const { delimiter, quote, newline } = this.marks
    const last = kinds.length - 1
    let at = start
    this.breaks = 0
    if (this.drifted.length > 0) this.drifted.length = 0
    for (let column = 0; ; column++) {
      let byte = bytes[at] as number
      const kind = kinds[column] as number
      if (byte === quote) at = this.quoted(at, column)
      else if (byte === delimiter || byte === newline) values[column] = null
      else if (kind === TEXT_CELL) {
        const first = at
        let high = 0
        do {
          high |= byte
          byte = bytes[++at] as number
        } while (byte !== delimiter && byte !== newline)
        const end = byte === newline ? this.withoutReturn(at) : at
        values[column] =
          end === first
            ? null
            : high < 0x80 && end - first <= MAX_SLICE
              ? text.slice(first, end)
              : this.string(first, end, high)
      } else if (kind === WHOLE_CELL || kind === DECIMAL_CELL) at = this.number(at, column, kind)
      else at = this.plain(at, column, kind)
      if (at === -1) return -1
      const border = bytes[at++]
      if (column === last) return border === newline ? at : -1
      if (border !== delimiter) return -1
    }
  }

  private number(start: number, column: number, kind: number): number {
    const { bytes } = this
    let at = start
    let byte = bytes[at] as number
    const negative = byte === MINUS
    if (negative) byte = bytes[++at] as number
    const first = at
    let number = 0
    while (byte >= ZERO && byte <= NINE) {
      number = number * 10 + byte - ZERO
      byte = bytes[++at] as number
    }
    let digits = at - first
    let fits = digits === 1 || (digits > 1 && bytes[first] !== ZERO)
    if (byte === DOT && kind === DECIMAL_CELL) {
      const point = at
      byte = bytes[++at] as number
      while (byte >= ZERO && byte <= NINE) {
        number = number * 10 + byte - ZERO
        byte = bytes[++at] as number
      }
      const places = at - point - 1
      digits += places
      if (places === 0 || digits > MAX_DIGITS) fits = false
      else number /= TEN[places] as number
    }
    if (fits && digits <= MAX_DIGITS && (number !== 0 || !negative || kind === DECIMAL_CELL)) {
      const end = this.endOfCell(byte, at)
      if (end !== -1) {
        this.values[column] = negative ? -number : number
        return end
      }
    }
    const { delimiter, newline } = this.marks
    while (byte !== delimiter && byte !== newline) byte = bytes[++at] as number
    const end = this.withoutReturn(at)
    if (end > start) return this.typed(bytes.utf8Slice(start, end), column) ? at : -1
    this.values[column] = null
    return at
  }

  /** Reads any other cell without quotes that is not empty. */
  private plain(start: number, column: number, kind: number): number {
    const { bytes } = this
    const { delimiter, newline } = this.marks
    let at = start
    let high = 0
    let byte = bytes[at] as number
    do {
      high |= byte
      byte = bytes[++at] as number
    } while (byte !== delimiter && byte !== newline)
    const end = this.withoutReturn(at)
    if (end === start) this.values[column] = null
    else if (this.keepsText(start, end, kind)) this.values[column] = this.string(start, end, high)
    else {
      const truth = kind === BOOLEAN_CELL ? booleanAt(bytes, start, end) : undefined
      if (truth !== undefined) this.values[column] = truth
      else if (!this.typed(this.string(start, end, high), column)) return -1
    }
    return at
  }

  private quoted(open: number, column: number): number {
    const { bytes, stop } = this
    const { quote, escape: mark, newline } = this.marks
    let at = open + 1
    let high = 0
    let escaped = false
    for (; ; at++) {
      // A quote that is still open before the last line break stays open up to the end of the bytes.
      if (at >= stop) return -1
      const byte = bytes[at] as number
      high |= byte
      if (byte === quote && (mark !== quote || bytes[at + 1] !== quote)) break
      if (byte === mark) {
        escaped = true
        high |= bytes[++at] as number
        if (bytes[at] === newline) this.breaks++
      } else if (byte === newline) this.breaks++
    }
    const end = this.endOfCell(bytes[at + 1] as number, at + 1)
    if (end === -1) return -1
    const reader = this.readers[column]
    if (at === open + 1) this.values[column] = reader === undefined ? '' : null
    else {
      const text = this.string(open + 1, at, high)
      const clean = escaped ? unescaped(text, this.marks) : text
      if (reader === undefined) this.values[column] = clean
      else if (!this.typed(clean, column)) return -1
    }
    return end
  }

  /** The delimiter or the last byte of the line break that stands there; -1 where something else does. */
  private endOfCell(byte: number, at: number): number {
    const { delimiter, newline } = this.marks
    if (byte === delimiter || byte === newline) return at
    return byte === CR && this.bytes[at + 1] === LF && this.withoutReturn(at + 1) === at ? at + 1 : -1
  }

  /** Where a cell ends whose border was found there: a CR before a LF is no part of it. */
  private withoutReturn(at: number): number {
    const { bytes } = this
    if (bytes[at] !== LF || bytes[at - 1] !== CR || this.marks.newline !== LF) return at
    return this.added && at + 1 === this.stop ? at : at - 1
  }

  private keepsText(start: number, end: number, kind: number): boolean {
    if (kind === DATE_CELL) return isPlainDay(this.bytes, start, end)
    return kind === TIME_CELL && (isPlainTime(this.bytes, start, end) || isPlainDay(this.bytes, start, end))
  }

  /** Whether the text can be the value of a typed column, as a value of its type or as text that drifted. */
  private typed(text: string, column: number): boolean {
    const value = (this.readers[column] as CellReader)(text)
    if (value === undefined && this.strict) return false
    if (value === undefined) this.drifted.push(column)
    this.values[column] = value ?? text
    return true
  }

  private string(start: number, end: number, high: number): string {
    if (high >= 0x80) return this.bytes.utf8Slice(start, end)
    return end - start > MAX_SLICE ? this.bytes.latin1Slice(start, end) : this.text.slice(start, end)
  }
}
