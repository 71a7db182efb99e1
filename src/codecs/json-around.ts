/**
 * A JSON document around the array that holds the rows, over stream-json. stream-json knows no positions and gives
 * none in its errors; so it is fed in pieces that end where a value may end, and what it refuses is looked at again.
 */
import { jsonParser, type Token } from 'stream-json/parser.js'
import { EtlError } from '../errors.js'
import { Carry, countByte, type Place, place, rowTooLarge } from './decoder.js'
import { findJsonFault, type JsonFault } from './json-syntax.js'
import { Walk } from './json-walk.js'

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
/** How much of the document around the array is kept for whoever asks. */
const MAX_KEPT_BYTES = 1024 * 1024

const NOTHING = Buffer.alloc(0)

export interface JsonAroundSetup {
  readonly file: string | undefined
  readonly path: readonly string[]
  readonly limit: number
  readonly byte: number
  readonly line: number
  /** Bytes begin inside the array. */
  readonly inside: boolean
  /** The number of the next row, for messages. */
  readonly nextRow: () => number
}

export class JsonAround {
  /** The document cannot be read beyond it. */
  error: EtlError | undefined
  private readonly setup: JsonAroundSetup
  private readonly parser = jsonParser({ streamValues: false }) as unknown as (text: string) => {
    values?: Token[]
  }
  private readonly walk: Walk
  private readonly carry = new Carry()
  /** Offset and line of the first byte that was not fed. */
  private byte: number
  private line: number
  /** The bytes before the array, while they are few. */
  private kept: Buffer[] = []
  /** Fed since a value was last known to end; bounds what stream-json holds. */
  private quiet = 0
  private fed = 0

  constructor(setup: JsonAroundSetup) {
    this.setup = setup
    this.byte = setup.byte
    this.line = setup.line
    this.walk = new Walk(setup.path)
    if (!setup.inside) return
    this.feed(`${setup.path.map((key) => `{${JSON.stringify(key)}:`).join('')}[`)
    // What comes before the array is not known any more.
    this.walk.letGo()
  }

  /** The next byte is inside the array. */
  isInside(): boolean {
    return this.walk.state === 'array'
  }

  position(): { byte: number; line: number } {
    return { byte: this.byte, line: this.line }
  }

  /** The document with nothing in the array, once it has ended; absent where it is too large, or was not read whole. */
  document(): unknown {
    return this.walk.document()
  }

  /** Reads on up to the array, or behind it. Gives the bytes that are inside the array. */
  push(piece: Buffer): Buffer {
    const { carry } = this
    const { limit } = this.setup
    if (!this.mayEnd(piece) && carry.length + piece.length <= limit) {
      carry.add(piece)
      return NOTHING
    }
    const data = carry.take(piece)
    let at = 0
    while (at < data.length && !this.isInside()) {
      const end = this.cut(data, at)
      if (end === -1) break
      this.error = this.step(data.subarray(at, end))
      if (this.error !== undefined) return NOTHING
      at = end
    }
    if (this.isInside()) return data.subarray(at)
    carry.add(data.subarray(at))
    if (carry.length > limit) this.error = this.tooLarge()
    return NOTHING
  }

  /** The array has ended right before this byte. */
  leave(byte: number, line: number): void {
    this.byte = byte
    this.line = line
    this.kept = []
    this.feed(']')
  }

  /** The document has no more bytes. */
  end(): void {
    if (this.carry.length > 0) this.error = this.step(this.carry.take())
    this.error ??= this.finish()
  }

  /** Whether a value may end within the piece; joining what waits for each small piece would cost its square. */
  private mayEnd(piece: Buffer): boolean {
    const before = this.walk.state === 'before'
    if (before && (piece.includes(OPEN_ARRAY) || piece.includes(OPEN_OBJECT))) return true
    return piece.includes(COMMA) || piece.includes(CLOSE_ARRAY) || piece.includes(CLOSE_OBJECT)
  }

  /** Where the next piece ends, or -1 where that is not known yet. */
  private cut(data: Buffer, from: number): number {
    const before = this.walk.state === 'before'
    for (let at = from; at < data.length; at++) {
      const byte = data[at]
      if (byte === COMMA || byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) return at + 1
      if (before && (byte === OPEN_ARRAY || byte === OPEN_OBJECT)) return at + 1
    }
    return -1
  }

  private step(piece: Buffer): EtlError | undefined {
    const { walk, setup } = this
    if (walk.state === 'before' && this.byte - setup.byte < MAX_BEFORE_BYTES) this.kept.push(piece)
    else this.kept = []
    this.quiet += piece.length
    this.fed += piece.length
    const before = walk.events
    try {
      this.feed(piece.toString('utf8'))
    } catch (error) {
      return this.broken(piece, error)
    }
    if (walk.events !== before) this.quiet = 0
    else if (this.quiet > setup.limit) return this.tooLarge()
    if (this.fed > MAX_KEPT_BYTES) walk.letGo()
    this.byte += piece.length
    this.line += countByte(piece, LF, 0, piece.length)
    if (this.byte - setup.byte > MAX_LOOK_BYTES) walk.stopLooking()
    return walk.wrong === undefined ? undefined : this.wrongTop()
  }

  private feed(text: string): void {
    for (const token of this.parser(text).values ?? []) this.walk.take(token)
  }

  private finish(): EtlError | undefined {
    try {
      // A number at the very end is known to end only now.
      this.feed('\n')
    } catch (error) {
      return this.broken(NOTHING, error)
    }
    const { state, wrong, found, events } = this.walk
    if (wrong !== undefined) return this.wrongTop()
    if (state === 'done') return found ? undefined : this.notFound()
    if (events > 0) return this.broken(NOTHING, undefined)
    return new EtlError(
      'ETL_FILE_EMPTY',
      `${this.setup.file ?? 'the input'} is empty: expected a JSON array; write [] if there are no rows`,
      { context: { ...this.at() } },
    )
  }

  private at(byte = this.byte, line = this.line): Place {
    return place(this.setup.file, this.setup.nextRow(), line, byte)
  }

  private tooLarge(): EtlError {
    return rowTooLarge(this.setup.limit, this.at())
  }

  private broken(piece: Buffer, cause: unknown): EtlError {
    // What was kept ends with the piece.
    const kept = this.walk.state === 'before' && this.kept.length > 0 ? Buffer.concat(this.kept) : undefined
    const raw = kept ?? piece
    const start = kept === undefined ? this.at() : this.at(this.setup.byte, this.setup.line)
    const text = raw.toString('utf8')
    const blank = { at: text.length - text.trimStart().length, expected: this.walk.expects() }
    const fault = kept === undefined ? blank : (findJsonFault(text) ?? blank)
    return brokenJson(raw, text, fault, start, cause)
  }

  private wrongTop(): EtlError {
    const { wrong, keys } = this.walk
    const { path } = this.setup
    const where = path.length === 0 ? 'at the top of the document' : `at path ${path.join('.')}`
    let advice = ''
    if (wrong === 'an object') {
      const inner = [...path, this.walk.suggestion() ?? 'key'].join('.')
      advice = ` with the keys ${keys.map((key) => JSON.stringify(key)).join(', ') || '(none)'}; pass path: ${JSON.stringify(inner)} to read an array inside it, or read it as jsonl if each line is one object`
    }
    return new EtlError('ETL_JSON_NOT_ARRAY', `expected an array ${where}, got ${wrong}${advice}`, {
      context: { ...this.at(0, 1), row: 1, keys: [...keys] },
    })
  }

  private notFound(): EtlError {
    const path = this.setup.path.join('.')
    const keys = this.walk.topKeys.map((key) => JSON.stringify(key)).join(', ') || 'none'
    return new EtlError(
      'ETL_JSON_PATH',
      `expected an array at path ${path}, but the document has no such key; keys at the top: ${keys}`,
      { context: { ...this.at(0, 1), path } },
    )
  }
}

/** Says where bytes that begin at `start` stop being JSON. */
export function brokenJson(
  raw: Buffer,
  text: string,
  fault: JsonFault,
  start: Place,
  cause?: unknown,
): EtlError {
  const bytes = Buffer.byteLength(text.slice(0, fault.at))
  const byte = start.byte + bytes
  const line = start.line + countByte(raw, LF, 0, bytes)
  const got =
    fault.at >= text.length ? 'the end of the input' : JSON.stringify(text.slice(fault.at, fault.at + 12))
  return new EtlError(
    'ETL_JSON_BROKEN',
    `broken JSON at byte ${byte} (${start.file ?? 'input'}, line ${line}, element ${start.row}): expected ${fault.expected}, got ${got}`,
    { context: { ...place(start.file, start.row, line, byte) }, cause },
  )
}
