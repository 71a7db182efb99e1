/**
 * One JSON object per line. Borders of lines are found in the bytes; a line is parsed late, or never: with form
 * `'any'` a line from `{` to `}` passes as text. Blank lines are dropped. A line that is no object, or too
 * long, is a rejected row, since its border is certain.
 */
import { originAt, parse, rowsBatch, textBatch } from '../batch.js'
import type { Batch, RejectedRow, Row } from '../contracts.js'
import {
  Carry,
  DEFAULT_MAX_ROW_BYTES,
  type Decoded,
  type Decoder,
  type DecoderSetup,
  Positions,
  place,
  type ResumePoint,
  rowTooLarge,
  shownText,
  startOf,
} from './decoder.js'
import { findJsonFault } from './json-syntax.js'

const LF = 10
const OPEN = 0x7b
const CLOSE = 0x7d

/** A decoder for JSON Lines. Lines end in LF or CRLF; the last one may lack it. */
export function jsonlDecoder<R = Row>(setup: DecoderSetup = {}): Decoder<R> {
  return new JsonlDecoder<R>(setup)
}

class JsonlDecoder<R> implements Decoder<R> {
  private readonly file: string | undefined
  private readonly form: 'rows' | 'any'
  private readonly limit: number
  private readonly carry = new Carry()
  /** Where the bytes that wait begin. */
  private byte: number
  private row: number
  private line: number
  /** Passing over the rest of a line that was too long. */
  private inside: boolean

  constructor(setup: DecoderSetup) {
    const from = startOf(setup)
    this.file = setup.file
    this.form = setup.form ?? 'rows'
    this.limit = setup.maxRowBytes ?? DEFAULT_MAX_ROW_BYTES
    this.byte = from.byte
    this.row = from.row
    this.line = from.line
    this.inside = from.inside === true
  }

  push(bytes: Uint8Array): Decoded<R> | undefined {
    const piece = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let start = 0
    if (this.inside) {
      const border = piece.indexOf(LF)
      this.byte += border === -1 ? piece.length : border + 1
      if (border === -1) return this.decoded(rowsBatch<R>([]), [])
      start = border + 1
      this.inside = false
      this.line++
    }
    const last = piece.lastIndexOf(LF)
    if (last < start) {
      this.carry.add(piece.subarray(start))
      if (this.carry.length <= this.limit) return start === 0 ? undefined : this.decoded(rowsBatch<R>([]), [])
      return this.decoded(rowsBatch<R>([]), [this.cutOff(this.carry.take())])
    }
    const whole = this.carry.take(piece.subarray(start, last + 1))
    const rest = piece.subarray(last + 1)
    const decoded = this.lines(whole)
    if (rest.length === 0) return decoded
    if (rest.length <= this.limit) {
      this.carry.add(rest)
      return decoded
    }
    return this.decoded(decoded.batch, [...decoded.rejected, this.cutOff(rest)])
  }

  end(): Decoded<R> | undefined {
    if (this.carry.length === 0) return undefined
    return this.lines(this.carry.take())
  }

  /** Whole lines; the last one may lack its line break. */
  private lines(bytes: Buffer): Decoded<R> {
    const starts: number[] = []
    const ends: number[] = []
    const positions = new Positions(this.file)
    const rejected: RejectedRow[] = []
    const base = this.byte
    const { limit } = this
    let { row, line } = this
    for (let start = 0; start < bytes.length; line++) {
      const border = bytes.indexOf(LF, start)
      const end = border === -1 ? bytes.length : border
      let from = start
      let to = end
      if (bytes[from] !== OPEN || bytes[to - 1] !== CLOSE) {
        while (from < to && isSpace(bytes[from] as number)) from++
        while (to > from && isSpace(bytes[to - 1] as number)) to--
      }
      if (end - start > limit) rejected.push(this.tooLong(bytes, start, end, ++row, line))
      else if (from < to) {
        row++
        if (bytes[from] === OPEN && bytes[to - 1] === CLOSE) {
          starts.push(from)
          ends.push(to)
          positions.add(row, line, base + start)
        } else {
          const text = bytes.toString('utf8', from, to)
          rejected.push(this.refuse(text, row, line, base + start, from - start))
        }
      }
      start = end + 1
      // The last line of the input may lack its line break: then it goes on, for all that is known.
      if (border === -1) break
    }
    this.row = row
    this.line = line
    this.byte = base + bytes.length
    const text = textBatch<R>({ bytes, starts, ends, count: starts.length }, undefined, positions.origin())
    if (this.form === 'any') return this.decoded(text, rejected)
    const bad: RejectedRow[] = []
    const batch = parse(text, (index, line, reason) => {
      const at = originAt(text, index) as { row: number; line: number; byte: number }
      const indent = (starts[index] as number) - (at.byte - base)
      bad.push(this.refuse(line, at.row, at.line, at.byte, indent, reason))
    })
    return this.decoded(batch, bad.length === 0 ? rejected : mergeByRow(rejected, bad))
  }

  private refuse(
    text: string,
    row: number,
    line: number,
    byte: number,
    indent: number,
    failure?: string,
  ): RejectedRow {
    const fault = findJsonFault(text)
    const position = place(this.file, row, line, byte)
    if (fault === undefined && text.startsWith('{')) {
      return { row: text, code: 'ETL_JSON_BROKEN', reason: failure ?? 'broken JSON', position }
    }
    if (fault === undefined) {
      return {
        row: text,
        code: 'ETL_JSONL_NOT_OBJECT',
        reason: `expected one JSON object per line, got ${describeStart(text)}`,
        position,
      }
    }
    const column = indent + fault.at + 1
    const at = byte + indent + Buffer.byteLength(text.slice(0, fault.at))
    return {
      row: text,
      code: 'ETL_JSON_BROKEN',
      reason: `broken JSON at byte ${at} (line ${line}, column ${column}): expected ${fault.expected}, got ${near(text, fault.at)}`,
      position,
    }
  }

  private tooLong(bytes: Buffer, start: number, end: number, row: number, line: number): RejectedRow {
    const position = place(this.file, row, line, this.byte + start)
    return {
      row: shownText(bytes, start, Math.min(end, start + Math.min(this.limit, 1024))),
      code: 'ETL_ROW_TOO_LARGE',
      reason: rowTooLarge(this.limit, position).message,
      position,
    }
  }

  /** Refuses a line of which only the beginning came; its rest will be passed over. */
  private cutOff(bytes: Buffer): RejectedRow {
    const rejected = this.tooLong(bytes, 0, bytes.length, ++this.row, this.line)
    this.byte += bytes.length
    this.inside = true
    return rejected
  }

  private decoded(batch: Batch<R>, rejected: readonly RejectedRow[]): Decoded<R> {
    const resume: ResumePoint = {
      byte: this.byte,
      row: this.row,
      line: this.line,
      ...(this.inside ? { inside: true } : {}),
    }
    return { batch, rejected, resume }
  }
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0d
}

function mergeByRow(one: readonly RejectedRow[], other: readonly RejectedRow[]): RejectedRow[] {
  return [...one, ...other].sort((a, b) => (a.position?.row ?? 0) - (b.position?.row ?? 0))
}

/** What stands at a place of a text, for a message. */
export function near(text: string, at: number): string {
  return at >= text.length ? 'the end' : JSON.stringify(text.slice(at, at + 12))
}

/** What kind of value a valid JSON text holds, by its first character. */
export function describeStart(text: string): string {
  const first = text.trimStart().charAt(0)
  if (first === '[') return 'an array'
  if (first === '{') return 'an object'
  if (first === '"') return 'a string'
  return first === 't' || first === 'f' ? 'a boolean' : first === 'n' ? 'null' : 'a number'
}
