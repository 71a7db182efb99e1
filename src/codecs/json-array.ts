/**
 * The elements of an array in a JSON document as rows, over stream-json. stream-json knows no positions and
 * gives none in its errors; so it is fed in pieces that end where a value may end, which makes the borders of
 * elements known, and what it refuses is looked at again from the start of the element.
 */
import { jsonParser, type Token } from 'stream-json/parser.js'
import { isRow, kindOf, rowsBatch } from '../batch.js'
import type { RejectedRow, Row } from '../contracts.js'
import { EtlError } from '../errors.js'
import { MAX_DEPTH } from '../json.js'
import {
  Carry,
  countByte,
  DEFAULT_MAX_ROW_BYTES,
  type Decoded,
  type Decoder,
  type DecoderSetup,
  Positions,
  place,
  rowTooLarge,
  shownText,
  startOf,
} from './decoder.js'
import { findJsonFault, type JsonFault } from './json-syntax.js'
import { Walk } from './json-walk.js'

export interface JsonArrayDecoderSetup extends DecoderSetup {
  /** Keys from the top of the document to the array. Default: the document is the array. */
  readonly path?: readonly string[] | undefined
}

const LF = 10
const COMMA = 0x2c
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/** How much of an object at the top is read to tell its keys. */
const MAX_LOOK_BYTES = 1024 * 1024
/** How much of the document before the array is kept to say where it is broken. */
const MAX_BEFORE_BYTES = 64 * 1024

/** A decoder for an array in a JSON document. An element that is no object is a rejected row. */
export function jsonArrayDecoder<R = Row>(setup: JsonArrayDecoderSetup = {}): Decoder<R> {
  return new JsonArrayDecoder<R>(setup)
}

class JsonArrayDecoder<R> implements Decoder<R> {
  private readonly file: string | undefined
  private readonly path: readonly string[]
  private readonly limit: number
  private readonly base: number
  private readonly parser = jsonParser({ streamValues: false }) as unknown as (text: string) => {
    values?: Token[]
  }
  private readonly walk: Walk
  private carry = new Carry()
  /** Offset and line of the first byte that was not fed. */
  private byte: number
  private line: number
  /** Covers the elements so far. */
  private resume: { byte: number; row: number; line: number }
  /** The element that is open, or the document around the array. */
  private open: { byte: number; line: number; first: number } | undefined
  /** The bytes of the open element, or of the document before the array while it is short. */
  private kept: Buffer[] = []
  private keptBytes = 0
  /** Fed since something was last known to end; bounds what stream-json holds. */
  private quiet = 0
  private over = false
  private rows: R[] = []
  private rejected: RejectedRow[] = []
  private positions: Positions

  constructor(setup: JsonArrayDecoderSetup) {
    const from = startOf(setup)
    this.file = setup.file
    this.path = setup.path ?? []
    this.limit = setup.maxRowBytes ?? DEFAULT_MAX_ROW_BYTES
    this.base = from.byte
    this.byte = from.byte
    this.line = from.line
    this.resume = { byte: from.byte, row: from.row, line: from.line }
    this.positions = new Positions(this.file)
    this.walk = new Walk(this.path)
    // A resumed document looks as if the array began with one element, which is not counted.
    if (from.row > 0) {
      this.feed(`${this.path.map((key) => `{${JSON.stringify(key)}:`).join('')}[[]`)
      this.walk.element()
    }
  }

  push(bytes: Uint8Array): Decoded<R> | undefined {
    if (this.over || bytes.length === 0) return undefined
    const piece = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (!this.mayEnd(piece) && this.carry.length + piece.length <= this.limit) {
      this.carry.add(piece)
      return undefined
    }
    const data = this.carry.take(piece)
    let error: EtlError | undefined
    let at = 0
    while (at < data.length && error === undefined) {
      const end = this.cut(data, at)
      if (end === -1) break
      error = this.step(data.subarray(at, end))
      at = end
    }
    if (error === undefined) {
      this.carry.add(data.subarray(at))
      if (this.carry.length > this.limit) error = this.tooLarge()
    }
    return this.decoded(error)
  }

  end(): Decoded<R> | undefined {
    if (this.over) return undefined
    const error = (this.carry.length > 0 ? this.step(this.carry.take()) : undefined) ?? this.finish()
    return this.decoded(error)
  }

  /** Whether something may end within the piece; joining what waits for each small piece would cost its square. */
  private mayEnd(piece: Buffer): boolean {
    if (this.open?.first === OPEN_OBJECT) return piece.includes(CLOSE_OBJECT)
    if (this.open?.first === OPEN_ARRAY) return piece.includes(CLOSE_ARRAY)
    if (this.open === undefined && this.walk.state === 'array') return true
    if (this.walk.state === 'before' && (piece.includes(OPEN_ARRAY) || piece.includes(OPEN_OBJECT)))
      return true
    return piece.includes(COMMA) || piece.includes(CLOSE_ARRAY) || piece.includes(CLOSE_OBJECT)
  }

  /** Where the next piece ends, or -1 where that is not known yet. */
  private cut(data: Buffer, at: number): number {
    const { state } = this.walk
    if (state === 'array' && this.open === undefined) {
      let next = at
      while (next < data.length && isFiller(data[next] as number)) next++
      if (next > at) return next
      if (data[at] === CLOSE_ARRAY) return at + 1
      this.open = { byte: this.byte, line: this.line, first: data[at] as number }
    }
    if (this.open?.first === OPEN_OBJECT) return after(data.indexOf(CLOSE_OBJECT, at))
    if (this.open?.first === OPEN_ARRAY) return after(data.indexOf(CLOSE_ARRAY, at))
    for (let next = at; next < data.length; next++) {
      const byte = data[next] as number
      if (endsValue(byte) || (state === 'before' && (byte === OPEN_ARRAY || byte === OPEN_OBJECT)))
        return next + 1
    }
    return -1
  }

  private step(piece: Buffer): EtlError | undefined {
    const opened = this.open
    if (opened !== undefined) {
      this.kept.push(piece)
      this.keptBytes += piece.length
      if (this.keptBytes > this.limit) return this.tooLarge()
    } else if (this.walk.state === 'before' && this.byte - this.base < MAX_BEFORE_BYTES) this.kept.push(piece)
    else this.kept = []
    this.quiet += piece.length
    const before = this.walk.events
    try {
      this.feed(piece.toString('utf8'))
    } catch (error) {
      return this.broken(piece, error)
    }
    if (this.walk.events !== before) this.quiet = 0
    else if (this.quiet > this.limit) return this.tooLarge()
    if (this.walk.ready && opened !== undefined) this.finishElement(piece, opened)
    this.byte += piece.length
    this.line += countByte(piece, LF, 0, piece.length)
    if (this.byte - this.base > MAX_LOOK_BYTES) this.walk.stopLooking()
    if (this.walk.wrong !== undefined) return this.wrongTop()
    return undefined
  }

  private feed(text: string): void {
    for (const token of this.parser(text).values ?? []) this.walk.take(token)
  }

  private finishElement(piece: Buffer, opened: { byte: number; line: number; first: number }): void {
    const { value, depth } = this.walk.element()
    const scalar = opened.first !== OPEN_OBJECT && opened.first !== OPEN_ARRAY
    // A number or a word is known to end only with the comma or bracket behind it.
    const own = scalar && endsValue(piece.at(-1) as number) ? piece.length - 1 : piece.length
    const row = this.resume.row + 1
    this.resume = {
      byte: this.byte + own,
      row,
      line: this.line + countByte(piece, LF, 0, own),
    }
    const text = () => {
      const raw = Buffer.concat(this.kept)
      return shownText(raw, 0, raw.length - (piece.length - own)).trim()
    }
    const position = place(this.file, row, opened.line, opened.byte)
    if (!isRow(value)) {
      const reason = `expected a JSON object as element ${row}, got ${kindOf(value)}`
      this.rejected.push({ row: text(), code: 'ETL_JSON_NOT_OBJECT', reason, position })
    } else if (depth > MAX_DEPTH) {
      const reason = `expected at most ${MAX_DEPTH} levels, element ${row} nests ${depth}`
      this.rejected.push({ row: text(), code: 'ETL_JSON_TOO_DEEP', reason, position })
    } else {
      this.rows.push(value as R)
      this.positions.add(row, opened.line, opened.byte)
    }
    this.open = undefined
    this.kept = []
    this.keptBytes = 0
  }

  private finish(): EtlError | undefined {
    try {
      // A number at the very end is known to end only now.
      this.feed('\n')
    } catch (error) {
      return this.broken(Buffer.alloc(0), error)
    }
    const { state } = this.walk
    if (this.walk.wrong !== undefined) return this.wrongTop()
    if (state === 'done' && !this.walk.found) return this.notFound()
    if (state === 'done') return undefined
    if (this.walk.events === 0 && this.open === undefined) {
      return new EtlError(
        'ETL_FILE_EMPTY',
        `${this.file ?? 'the input'} is empty: expected a JSON array; write [] if there are no rows`,
        { context: this.at() },
      )
    }
    return this.broken(Buffer.alloc(0), undefined)
  }

  private decoded(error: EtlError | undefined): Decoded<R> | undefined {
    if (error !== undefined) this.over = true
    else if (this.rows.length === 0 && this.rejected.length === 0) return undefined
    const out: Decoded<R> = {
      batch: rowsBatch(this.rows, undefined, this.positions.origin()),
      rejected: this.rejected,
      resume: this.resume,
      error,
    }
    this.rows = []
    this.rejected = []
    this.positions = new Positions(this.file)
    return out
  }

  private at(byte = this.byte, line = this.line): { file?: string; row: number; line: number; byte: number } {
    return { ...place(this.file, this.resume.row + 1, line, byte) }
  }

  private tooLarge(): EtlError {
    const { byte, line } = this.open ?? { byte: this.byte, line: this.line }
    return rowTooLarge(this.limit, place(this.file, this.resume.row + 1, line, byte))
  }

  private broken(piece: Buffer, cause: unknown): EtlError {
    const { byte, line, fault, text } = this.locate(piece, this.open)
    const what =
      fault.at >= text.length ? 'the end of the input' : JSON.stringify(text.slice(fault.at, fault.at + 12))
    const context = this.at(byte, line)
    return new EtlError(
      'ETL_JSON_BROKEN',
      `broken JSON at byte ${byte} (${this.file ?? 'input'}, line ${line}, element ${context.row}): expected ${fault.expected}, got ${what}`,
      { context, cause },
    )
  }

  private locate(
    piece: Buffer,
    open: { byte: number; line: number } | undefined,
  ): { byte: number; line: number; fault: JsonFault; text: string } {
    const before = this.walk.state === 'before' && this.kept.length > 0
    if (open !== undefined || before) {
      // What was kept ends with the piece.
      const raw = Buffer.concat(this.kept)
      const text = raw.toString('utf8')
      const start = open ?? { byte: this.base, line: 1 }
      const fault = findJsonFault(text) ?? { at: 0, expected: '"," or "]"' }
      const bytes = Buffer.byteLength(text.slice(0, fault.at))
      return { byte: start.byte + bytes, line: start.line + countByte(raw, LF, 0, bytes), fault, text }
    }
    const text = piece.toString('utf8')
    const comma = text.indexOf(',')
    // Between elements only commas can be wrong: the first one that has no value before it.
    const at =
      this.walk.state === 'array' && comma !== -1
        ? Math.max(0, text.indexOf(',', comma + 1))
        : text.length - text.trimStart().length
    const fault = { at, expected: text.charAt(at) === ']' ? 'a value after ","' : this.walk.expects() }
    const bytes = Buffer.byteLength(text.slice(0, at))
    return { byte: this.byte + bytes, line: this.line + countByte(piece, LF, 0, bytes), fault, text }
  }

  private wrongTop(): EtlError {
    const { wrong, keys } = this.walk
    const where = this.path.length === 0 ? 'at the top of the document' : `at path ${this.path.join('.')}`
    let advice = ''
    if (wrong === 'an object') {
      const path = [...this.path, this.walk.suggestion() ?? 'key'].join('.')
      advice = ` with the keys ${keys.map((key) => JSON.stringify(key)).join(', ') || '(none)'}; pass path: ${JSON.stringify(path)} to read an array inside it, or read it as jsonl if each line is one object`
    }
    return new EtlError('ETL_JSON_NOT_ARRAY', `expected an array ${where}, got ${wrong}${advice}`, {
      context: { ...this.at(0, 1), row: 1, keys: [...keys] },
    })
  }

  private notFound(): EtlError {
    return new EtlError(
      'ETL_JSON_PATH',
      `expected an array at path ${this.path.join('.')}, but the document has no such key; keys at the top: ${this.walk.topKeys.map((key) => JSON.stringify(key)).join(', ') || 'none'}`,
      { context: { ...this.at(0, 1), path: this.path.join('.') } },
    )
  }
}

function isFiller(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === LF || byte === 0x0d || byte === COMMA
}

function endsValue(byte: number): boolean {
  return byte === COMMA || byte === CLOSE_ARRAY || byte === CLOSE_OBJECT
}

function after(index: number): number {
  return index === -1 ? -1 : index + 1
}
