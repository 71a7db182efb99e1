/**
 * The elements of an array in a JSON document as rows. The borders of elements are found in the bytes, and each
 * element is parsed natively by itself; its text stays beside the row. What is around the array goes through
 * stream-json.
 */
import { isAscii } from 'node:buffer'
import { isRow, kindOf } from '../batch.js'
import type { JsonLines, RejectedRow, Row } from '../contracts.js'
import type { EtlError } from '../errors.js'
import { hasLongDigits, MAX_DEPTH, parseJson } from '../json.js'
import {
  Carry,
  DEFAULT_MAX_ROW_BYTES,
  type Decoded,
  type Decoder,
  type DecoderSetup,
  type Place,
  Positions,
  place,
  type ResumePoint,
  rowTooLarge,
  startOf,
} from './decoder.js'
import { brokenJson, JsonAround } from './json-around.js'
import { ElementScan, FoundElements, withoutBreaks } from './json-elements.js'
import { findJsonFault } from './json-syntax.js'

export interface JsonArrayDecoderSetup extends DecoderSetup {
  /** Keys from the top of the document to the array. Default: the document is the array. */
  readonly path?: readonly string[] | undefined
}

export interface JsonArrayDecoder<R = Row> extends Decoder<R> {
  /**
   * The document around the rows, with an empty array in their place, once `end` was called; whole numbers beyond
   * 2^53 are `bigint`. Absent for a resumed read, and where more than 1 MiB is around the rows.
   */
  readonly around: () => unknown
}

/** How much of a rejected element is kept with it. */
const MAX_SHOWN = 64 * 1024

/** A decoder for an array in a JSON document. An element that is no object is a rejected row. */
export function jsonArrayDecoder<R = Row>(setup: JsonArrayDecoderSetup = {}): JsonArrayDecoder<R> {
  return new ArrayDecoder<R>(setup)
}

class ArrayDecoder<R> implements JsonArrayDecoder<R> {
  private readonly file: string | undefined
  private readonly limit: number
  private readonly document: JsonAround
  private scan: ElementScan | undefined
  private readonly carry = new Carry()
  /** Where the bytes inside the array begin that were not decoded. */
  private byte: number
  /** Covers the elements so far. */
  private resume: ResumePoint
  private over = false
  private rows: R[] = []
  private text: JsonLines | undefined
  private rejected: RejectedRow[] = []
  private positions: Positions

  constructor(setup: JsonArrayDecoderSetup) {
    const from = startOf(setup)
    this.file = setup.file
    this.limit = setup.maxRowBytes ?? DEFAULT_MAX_ROW_BYTES
    this.byte = from.byte
    this.resume = { byte: from.byte, row: from.row, line: from.line }
    this.positions = new Positions(this.file)
    this.document = new JsonAround({
      file: this.file,
      path: setup.path ?? [],
      limit: this.limit,
      byte: from.byte,
      line: from.line,
      inside: from.row > 0,
      nextRow: () => this.resume.row + 1,
    })
    if (from.row > 0) this.scan = new ElementScan(from.line, true)
  }

  around = (): unknown => this.document.document()

  push(bytes: Uint8Array): Decoded<R> | undefined {
    if (this.over || bytes.length === 0) return undefined
    return this.decoded(this.read(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)))
  }

  end(): Decoded<R> | undefined {
    if (this.over) return undefined
    return this.decoded(this.finish())
  }

  private read(piece: Buffer): EtlError | undefined {
    const { document } = this
    let inside = piece
    if (!document.isInside()) {
      inside = document.push(piece)
      if (document.error !== undefined || !document.isInside()) return document.error
      const { byte, line } = document.position()
      this.byte = byte
      this.scan = new ElementScan(line, false)
    }
    return inside.length === 0 ? undefined : this.elements(inside, this.scan as ElementScan)
  }

  private elements(piece: Buffer, scan: ElementScan): EtlError | undefined {
    const found = new FoundElements()
    const seen = this.carry.length
    let data = piece
    let from = 0
    if (seen > 0) {
      // Bytes are joined only once the element that waits has ended.
      const end = scan.rest(piece, 0)
      if (end === -1) return this.wait(piece, scan)
      data = this.carry.take(piece)
      from = seen + end
      scan.add(0, from, found)
    }
    const at = scan.scan(data, from, found)
    const error = this.parse(data, found)
    if (error !== undefined) return error
    this.byte += at
    const rest = data.subarray(at)
    if (scan.expected !== undefined) {
      const shown = rest.subarray(0, 64)
      const fault = { at: 0, expected: scan.expected }
      return brokenJson(shown, shown.toString('utf8'), fault, this.place(scan.line))
    }
    if (!scan.closed) return rest.length > 0 ? this.wait(rest, scan) : undefined
    this.document.leave(this.byte, scan.line)
    this.document.push(rest)
    return this.document.error
  }

  /** Keeps the beginning of an element whose end has not come. */
  private wait(bytes: Buffer, scan: ElementScan): EtlError | undefined {
    this.carry.add(bytes)
    if (this.carry.length <= this.limit) return undefined
    return this.tooLarge(this.carry.take(), this.place(scan.openLine))
  }

  /** Every element becomes a row or a rejected one. */
  private parse(data: Buffer, found: FoundElements): EtlError | undefined {
    const { starts, ends, lines, endLines } = found
    if (starts.length === 0) return undefined
    const encoding = isAscii(data) ? 'latin1' : 'utf8'
    const exact = hasLongDigits(data)
    const kept: number[] = []
    let error: EtlError | undefined
    for (let i = 0; i < starts.length; i++) {
      const start = starts[i] as number
      const end = ends[i] as number
      const line = lines[i] as number
      const row = this.resume.row + 1
      const byte = this.byte + start
      if (end - start > this.limit) {
        error = this.tooLarge(data.subarray(start, end), this.place(line, byte))
        break
      }
      const text = data.toString(encoding, start, end)
      let value: unknown
      try {
        value = exact ? parseJson(text) : JSON.parse(text)
      } catch (cause) {
        const fault = findJsonFault(text) ?? { at: 0, expected: 'valid JSON' }
        error = brokenJson(data.subarray(start, end), text, fault, this.place(line, byte), cause)
        break
      }
      const depth = found.deep.get(i)
      if (isRow(value) && depth === undefined) {
        kept.push(i)
        this.rows.push(value as R)
        this.positions.add(row, line, byte)
      } else this.refuse(text, value, depth, this.place(line, byte))
      this.resume = { byte: this.byte + end, row, line: endLines[i] as number }
    }
    this.text = this.textOf(data, found, kept)
    return error
  }

  private textOf(data: Buffer, found: FoundElements, kept: readonly number[]): JsonLines {
    const all = kept.length === found.starts.length
    const starts = all ? found.starts : kept.map((index) => found.starts[index] as number)
    const ends = all ? found.ends : kept.map((index) => found.ends[index] as number)
    const count = kept.length
    return found.broken
      ? { ...withoutBreaks(data, starts, ends), count }
      : { bytes: data, starts, ends, count }
  }

  private refuse(text: string, value: unknown, depth: number | undefined, position: Place): void {
    const shown = text.slice(0, MAX_SHOWN)
    const { row } = position
    if (depth === undefined) {
      const reason = `expected a JSON object as element ${row}, got ${kindOf(value)}`
      this.rejected.push({ row: shown, code: 'ETL_JSON_NOT_OBJECT', reason, position })
    } else {
      const reason = `expected at most ${MAX_DEPTH} levels, element ${row} nests ${depth}`
      this.rejected.push({ row: shown, code: 'ETL_JSON_TOO_DEEP', reason, position })
    }
  }

  private finish(): EtlError | undefined {
    const { scan, carry, document } = this
    if (scan === undefined || scan.closed) {
      document.end()
      return document.error
    }
    if (carry.length === 0) {
      return brokenJson(carry.take(), '', { at: 0, expected: 'a value, "," or "]"' }, this.place(scan.line))
    }
    const raw = carry.take()
    const text = raw.toString('utf8')
    const fault = findJsonFault(text) ?? { at: text.length, expected: '"," or "]"' }
    return brokenJson(raw, text, fault, this.place(scan.openLine))
  }

  /** A quote that is missing makes an element long: then the place where it breaks says more than its length. */
  private tooLarge(bytes: Buffer, at: Place): EtlError {
    const raw = bytes.subarray(0, this.limit)
    const text = raw.toString('utf8')
    const fault = findJsonFault(text)
    if (fault === undefined || fault.at >= text.length) return rowTooLarge(this.limit, at)
    return brokenJson(raw, text, fault, at)
  }

  private place(line: number, byte = this.byte): Place {
    return place(this.file, this.resume.row + 1, line, byte)
  }

  private decoded(error: EtlError | undefined): Decoded<R> | undefined {
    if (error !== undefined) this.over = true
    else if (this.rows.length === 0 && this.rejected.length === 0) return undefined
    const { rows, text, rejected, resume, positions } = this
    const batch = { rows, origin: positions.origin(), text: rows.length > 0 ? text : undefined }
    this.rows = []
    this.text = undefined
    this.rejected = []
    this.positions = new Positions(this.file)
    return { batch, rejected, resume, error }
  }
}
