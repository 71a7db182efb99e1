/**
 * Elements of a JSON array to JSON lines, where nobody wants rows. Objects are checked against the whole grammar
 * and written on one line in WebAssembly. Everything else (what stands around the array, elements that are no
 * objects, what is broken) is read by the other decoder until it has given something; so both give the same
 * rows, rejections and errors.
 */
import type { Row } from '../../contracts.js'
import { MAX_DEPTH } from '../../json.js'
import { Carry, DEFAULT_MAX_ROW_BYTES, type Decoded, type Decoder, startOf } from '../decoder.js'
import { type JsonArrayDecoderSetup, jsonArrayDecoder } from '../json-array.js'
import { byteLane, MORE, takeEngine } from './engine.js'
import { followedBy, Gathered } from './rows.js'

/** A decoder that gives JSON text where it can, and otherwise is `jsonArrayDecoder`. */
export function jsonArrayByteDecoder<R = Row>(setup: JsonArrayDecoderSetup = {}): Decoder<R> {
  return byteLane().available ? new JsonByteDecoder<R>(setup) : jsonArrayDecoder<R>(setup)
}

const CLOSE_OBJECT = 0x7d
/** One byte per open level. */
const STACK_AT = 1024
const INPUT_AT = STACK_AT + MAX_DEPTH
/** The other decoder is given this much at first; what it gets and does not need, it parses for nothing. */
const SLICE_BYTES = 512
const MAX_SLICE_BYTES = 64 * 1024
/** Where it has been called so often within one piece, it reads the rest of the piece, too. */
const MAX_CALLS = 4
/** A longer element that has not ended is looked at again only when so much more of it has come. */
const PATIENT_BYTES = 256 * 1024
const PATIENCE = 1.25

class JsonByteDecoder<R> implements Decoder<R> {
  private readonly setup: JsonArrayDecoderSetup
  private readonly limit: number
  private readonly carry = new Carry()
  /** Covers the elements so far; the bytes that wait begin there. */
  private resume: { byte: number; row: number; line: number }
  private seen = 0
  /** The other decoder, while it reads, and the offset of the byte it gets next. */
  private other: Decoder<R> | undefined
  private otherAt = 0
  private over = false

  constructor(setup: JsonArrayDecoderSetup) {
    const { byte, row, line } = startOf(setup)
    this.setup = setup
    this.limit = setup.maxRowBytes ?? DEFAULT_MAX_ROW_BYTES
    this.resume = { byte, row, line }
    if (row === 0 && setup.path !== undefined && setup.path.length > 0) this.callOther()
  }

  push(bytes: Uint8Array): Decoded<R> | undefined {
    if (this.over) return undefined
    const waiting = this.carry.length + bytes.length
    const early = this.seen > PATIENT_BYTES && waiting < this.seen * PATIENCE
    const ends = bytes.includes(CLOSE_OBJECT) || this.seen < this.carry.length
    if (this.other === undefined && waiting <= this.limit && (early || (!ends && this.carry.length > 0))) {
      if (!ends && this.seen === this.carry.length) this.seen += bytes.length
      this.carry.add(bytes)
      return undefined
    }
    let data: Buffer = this.carry.take(bytes)
    let decoded: Decoded<R> | undefined
    for (let calls = 1; !this.over && data.length > 0; calls++) {
      if (this.other === undefined) {
        decoded = followedBy(decoded, this.run(data))
        data = data.subarray(this.used)
        if (this.other === undefined && data.length <= this.limit) {
          this.carry.add(data)
          this.seen = data.length
          return decoded
        }
        if (this.other === undefined) this.callOther()
      }
      const start = this.otherAt
      decoded = followedBy(decoded, this.ask(data, calls > MAX_CALLS))
      data = data.subarray((this.other === undefined ? this.resume.byte : this.otherAt) - start)
    }
    return decoded
  }

  end(): Decoded<R> | undefined {
    if (this.over) return undefined
    let rest = this.carry.take()
    let decoded: Decoded<R> | undefined
    if (this.other === undefined && this.seen < rest.length) {
      decoded = this.run(rest)
      rest = rest.subarray(this.used)
    }
    if (this.other === undefined) this.callOther()
    const other = this.other as unknown as Decoder<R>
    this.over = true
    return followedBy(decoded, followedBy(other.push(rest), other.end()))
  }

  private used = 0

  private run(data: Buffer): Decoded<R> | undefined {
    const engine = takeEngine()
    const { byte, row, line } = this.resume
    // An element never grows, and its line break takes the place of a comma or bracket.
    engine.load(data, INPUT_AT, byte, line, this.limit, data.length + 256)
    engine.code.beginJson(row === 0, STACK_AT, MAX_DEPTH)
    const gathered = new Gathered(row + 1)
    const status = engine.run('json', data.length, gathered.add)
    gathered.add(engine.take())
    this.used = engine.used
    this.resume = { byte: byte + this.used, row: gathered.next() - 1, line: engine.code.line.value }
    if (status !== MORE) this.callOther()
    if (gathered.count === 0) return undefined
    return { batch: gathered.batch(this.setup.file), rejected: [], resume: this.resume, error: undefined }
  }

  private callOther(): void {
    const { resume } = this
    this.other = jsonArrayDecoder<R>(resume.row === 0 ? this.setup : { ...this.setup, resume })
    this.otherAt = resume.byte
  }

  /** Lets the other decoder read until it has given something, or has taken all; it is done then unless `stays`. */
  private ask(data: Buffer, stays: boolean): Decoded<R> | undefined {
    const other = this.other as Decoder<R>
    let slice = stays ? MAX_SLICE_BYTES : SLICE_BYTES
    for (let at = 0; at < data.length; slice = Math.min(slice * 2, MAX_SLICE_BYTES)) {
      const piece = data.subarray(at, at + slice)
      const decoded = other.push(piece)
      at += piece.length
      this.otherAt += piece.length
      if (decoded === undefined) continue
      this.resume = { ...decoded.resume }
      if (decoded.error !== undefined) this.over = true
      // Behind what it gave there may be bytes that it has taken and that came in an earlier piece.
      else if (!stays && this.otherAt - this.resume.byte <= at) this.other = undefined
      return decoded
    }
    return undefined
  }
}
