/**
 * Bytes of any encoding to UTF-8 whose every sequence is complete and valid, so that no engine behind it has
 * to look. A byte order mark is dropped. Characters cut by a chunk border are put together.
 */
import { isUtf8 } from 'node:buffer'
import { EtlError } from '../errors.js'
import { invalidOption } from '../internal/options.js'

/** `'utf-8'`, `'utf-16le'`, `'utf-16be'`, or another label that `TextDecoder` knows. */
export type TextEncoding = string

export interface DecodedText {
  readonly bytes: Uint8Array
  /** A sequence after `bytes` is not valid. */
  readonly error?: EtlError | undefined
}

export interface TextDecoding {
  readonly push: (bytes: Uint8Array) => DecodedText
  readonly end: () => DecodedText
  /** What one has to add to offsets in the output to get offsets in the input; absent where they cannot be mapped. */
  readonly shift: number | undefined
}

/** The encoding a head of bytes names by its byte order mark, or shows by its zero bytes. */
export function detectEncoding(head: Uint8Array): { encoding: TextEncoding; markBytes: number } {
  if (head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf) return { encoding: 'utf-8', markBytes: 3 }
  if (head[0] === 0xff && head[1] === 0xfe) return { encoding: 'utf-16le', markBytes: 2 }
  if (head[0] === 0xfe && head[1] === 0xff) return { encoding: 'utf-16be', markBytes: 2 }
  if (head.length >= 4) {
    if (head[0] !== 0 && head[1] === 0 && head[2] !== 0 && head[3] === 0)
      return { encoding: 'utf-16le', markBytes: 0 }
    if (head[0] === 0 && head[1] !== 0 && head[2] === 0 && head[3] !== 0)
      return { encoding: 'utf-16be', markBytes: 0 }
  }
  return { encoding: 'utf-8', markBytes: 0 }
}

/** Checks the option when a source is built. */
export function checkEncoding(encoding: string | undefined): void {
  if (encoding === undefined) return
  try {
    new TextDecoder(encoding)
  } catch {
    throw invalidOption('encoding', 'an encoding label such as utf-8, utf-16le or windows-1252', encoding)
  }
}

/**
 * Decodes one input. `head` is its beginning, for the byte order mark; it is pushed like the rest.
 * `at` is the offset of the first byte pushed, for messages.
 */
export function textDecoding(head: Uint8Array, encoding?: TextEncoding, at = 0): TextDecoding {
  const found = detectEncoding(head)
  const name = encoding === undefined ? found.encoding : new TextDecoder(encoding).encoding
  const mark = found.encoding === name && at === 0 ? found.markBytes : 0
  if (name === 'utf-8') return new Utf8Check(mark, at)
  if (name === 'utf-16le' || name === 'utf-16be') return new Utf16Decoding(name, mark)
  return new LabelDecoding(name)
}

function brokenText(encoding: string, byte: number, bytes: Uint8Array, at: number): EtlError {
  const shown = Array.from(bytes.subarray(at, at + 4), (value) => value.toString(16).padStart(2, '0')).join(
    ' ',
  )
  const advice =
    encoding === 'utf-8'
      ? "if the input is in another encoding, name it, for example encoding: 'windows-1252'"
      : 'check that this is the encoding of the input'
  return new EtlError(
    'ETL_TEXT_INVALID',
    `expected ${encoding} text, got the bytes ${shown} at byte ${byte}; ${advice}`,
    { context: { byte, encoding } },
  )
}

class Utf8Check implements TextDecoding {
  readonly shift: number
  private skip: number
  private held: Buffer = Buffer.alloc(0)
  private at: number

  constructor(mark: number, at: number) {
    this.shift = mark
    this.skip = mark
    this.at = at
  }

  push(input: Uint8Array): DecodedText {
    let bytes = this.held.length === 0 ? asBuffer(input) : Buffer.concat([this.held, input])
    if (this.skip > 0) {
      const dropped = Math.min(this.skip, bytes.length)
      bytes = bytes.subarray(dropped)
      this.skip -= dropped
      this.at += dropped
    }
    const whole = bytes.length - cutCharacterLength(bytes)
    this.held = bytes.subarray(whole)
    return this.check(bytes.subarray(0, whole))
  }

  end(): DecodedText {
    const rest = this.held
    this.held = Buffer.alloc(0)
    return this.check(rest)
  }

  private check(bytes: Buffer): DecodedText {
    if (isUtf8(bytes)) {
      this.at += bytes.length
      return { bytes }
    }
    const valid = validPrefix(bytes)
    return {
      bytes: bytes.subarray(0, valid),
      error: brokenText('utf-8', this.at + valid, bytes, valid),
    }
  }
}

/** Bytes at the end that begin a character which needs more bytes. */
function cutCharacterLength(bytes: Buffer): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back] as number
    if (byte < 0x80) return 0
    if (byte < 0xc0) continue
    const needs = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2
    return needs > back ? back : 0
  }
  return 0
}

function validPrefix(bytes: Buffer): number {
  let low = 0
  let high = bytes.length
  // Invariant: the characters that start before `low` are valid, those up to `high` are not all valid.
  while (high - low > 1) {
    let middle = (low + high) >> 1
    while (middle > low && ((bytes[middle] as number) & 0xc0) === 0x80) middle--
    if (middle === low) break
    if (isUtf8(bytes.subarray(low, middle))) low = middle
    else high = middle
  }
  for (let at = low; at < bytes.length; ) {
    const size = characterLength(bytes[at] as number)
    if (size === 0 || !isUtf8(bytes.subarray(at, at + size))) return at
    at += size
  }
  return bytes.length
}

function characterLength(first: number): number {
  if (first < 0x80) return 1
  if (first < 0xc2) return 0
  if (first < 0xe0) return 2
  return first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0
}

/** Node 20 has it, the type library of ES2023 does not. */
type WellFormed = string & { isWellFormed(): boolean }

class Utf16Decoding implements TextDecoding {
  readonly shift = undefined
  private readonly name: 'utf-16le' | 'utf-16be'
  private skip: number
  private held: Buffer = Buffer.alloc(0)
  private at = 0

  constructor(name: 'utf-16le' | 'utf-16be', mark: number) {
    this.name = name
    this.skip = mark
  }

  push(input: Uint8Array): DecodedText {
    let bytes = this.held.length === 0 ? asBuffer(input) : Buffer.concat([this.held, input])
    if (this.skip > 0) {
      const dropped = Math.min(this.skip, bytes.length)
      bytes = bytes.subarray(dropped)
      this.skip -= dropped
      this.at += dropped
    }
    let whole = bytes.length & ~1
    const high = this.name === 'utf-16le' ? whole - 1 : whole - 2
    if (whole > 0 && ((bytes[high] as number) & 0xfc) === 0xd8) whole -= 2
    this.held = bytes.subarray(whole)
    return this.decode(bytes.subarray(0, whole))
  }

  end(): DecodedText {
    const rest = this.held
    this.held = Buffer.alloc(0)
    if (rest.length === 0) return { bytes: rest }
    return { bytes: Buffer.alloc(0), error: brokenText(this.name, this.at, rest, 0) }
  }

  private decode(bytes: Buffer): DecodedText {
    const little = this.name === 'utf-16le' ? bytes : Buffer.from(bytes).swap16()
    const text = little.toString('utf16le')
    if ((text as WellFormed).isWellFormed()) {
      this.at += bytes.length
      return { bytes: Buffer.from(text) }
    }
    const unit = loneSurrogateAt(text)
    return {
      bytes: Buffer.from(text.slice(0, unit)),
      error: brokenText(this.name, this.at + unit * 2, bytes, unit * 2),
    }
  }
}

function loneSurrogateAt(text: string): number {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code < 0xd800 || code > 0xdfff) continue
    if ((text.codePointAt(at) as number) <= 0xffff) return at
    at++
  }
  return text.length
}

class LabelDecoding implements TextDecoding {
  readonly shift = undefined
  private readonly decoder: InstanceType<typeof TextDecoder>
  private at = 0

  constructor(label: string) {
    this.decoder = new TextDecoder(label, { fatal: true })
  }

  push(bytes: Uint8Array): DecodedText {
    return this.decode(bytes, true)
  }

  end(): DecodedText {
    return this.decode(new Uint8Array(0), false)
  }

  private decode(bytes: Uint8Array, stream: boolean): DecodedText {
    try {
      const text = this.decoder.decode(bytes, { stream })
      this.at += bytes.length
      return { bytes: Buffer.from(text) }
    } catch {
      return { bytes: Buffer.alloc(0), error: brokenText(this.decoder.encoding, this.at, bytes, 0) }
    }
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
