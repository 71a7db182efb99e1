/** Bytes of one part to well-formed UTF-8: decompressed, decoded, checked. */
import {
  type Compression,
  type DecompressLimits,
  decompress,
  detectCompression,
} from '../../codecs/decompress.js'
import { detectEncoding, textDecoding } from '../../codecs/text-encoding.js'
import { EtlError, isEtlError } from '../../errors.js'
import type { OpenBytes } from './bytes.js'
import { Peekable } from './peek.js'

export interface TextSetup {
  readonly name: string
  readonly encoding: string | undefined
  readonly limits: DecompressLimits
  /** A beginning that trickles in is taken as it is after so long. */
  readonly ageMs: number
  /** Read on from here: an offset of decoded bytes, as `base` and the text count them. */
  readonly from: number | undefined
}

export interface Text {
  readonly chunks: Peekable
  /** Offset of the first byte of the chunks where nothing is resumed. */
  readonly base: number
  readonly compression: Compression
}

const HEAD_BYTES = 1024

export async function openText(bytes: OpenBytes, setup: TextSetup): Promise<Text> {
  const { name, from } = setup
  const raw = new Peekable(bytes.next)
  const { head, failure } = await raw.peek(HEAD_BYTES, setup.ageMs)
  if (failure !== undefined && head.length === 0) throw failure.error
  const compression = detectCompression(head, name)
  const plainEncoding = setup.encoding ?? detectEncoding(head).encoding
  if (from !== undefined && compression === 'none' && isUtf8Label(plainEncoding)) {
    bytes.seek(from)
    const sought = new Peekable(bytes.next)
    return {
      chunks: Peekable.over(decode(sought, head, from, setup.encoding ?? 'utf-8', name)),
      base: 0,
      compression,
    }
  }
  const unpacked = Peekable.over(decompress(raw, compression, name, setup.limits))
  const { head: textHead } = compression === 'none' ? { head } : await unpacked.peek(4, setup.ageMs)
  const base = textDecoding(textHead, setup.encoding).shift ?? 0
  const decoded = decode(unpacked, textHead, 0, setup.encoding, name)
  const chunks = from === undefined ? decoded : dropping(decoded, from - base)
  return { chunks: Peekable.over(chunks), base, compression }
}

function isUtf8Label(label: string): boolean {
  return new TextDecoder(label).encoding === 'utf-8'
}

async function* decode(
  chunks: AsyncIterable<Uint8Array>,
  head: Uint8Array,
  at: number,
  encoding: string | undefined,
  name: string,
): AsyncGenerator<Uint8Array> {
  const decoding = textDecoding(head, encoding, at)
  for await (const chunk of chunks) {
    const { bytes, error } = decoding.push(chunk)
    if (bytes.length > 0) yield bytes
    if (error !== undefined) throw named(error, name)
  }
  const { bytes, error } = decoding.end()
  if (bytes.length > 0) yield bytes
  if (error !== undefined) throw named(error, name)
}

function named(error: unknown, file: string): unknown {
  if (!isEtlError(error)) return error
  return new EtlError(error.code, `${file}: ${error.message}`, {
    context: { ...error.context, file },
    cause: error.cause,
  })
}

async function* dropping(chunks: AsyncIterable<Uint8Array>, bytes: number): AsyncGenerator<Uint8Array> {
  let left = bytes
  for await (const chunk of chunks) {
    if (left >= chunk.length) left -= chunk.length
    else {
      yield left === 0 ? chunk : chunk.subarray(left)
      left = 0
    }
  }
}
