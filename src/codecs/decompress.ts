/** gzip and brotli, told by content, within bounds that stop a decompression bomb. */

import { isUtf8 } from 'node:buffer'
import { pipeline, Readable } from 'node:stream'
import { brotliDecompressSync, constants, createBrotliDecompress, createGunzip } from 'node:zlib'
import { EtlError, messageOf } from '../errors.js'

export type Compression = 'gzip' | 'brotli' | 'none'

export interface DecompressLimits {
  /** Decompressed bytes per compressed byte, once 16 MiB came out. Default 200. */
  readonly maxRatio?: number | undefined
  /** Decompressed bytes in all. Default 1 TiB. */
  readonly maxDecodedBytes?: number | undefined
  /** Bytes of one decompressed chunk at most. Default 65,536. */
  readonly chunkBytes?: number | undefined
}

const RATIO_FROM_BYTES = 16 * 1024 * 1024
const DEFAULT_MAX_RATIO = 200
const DEFAULT_MAX_DECODED_BYTES = 2 ** 40

const FOREIGN: readonly { name: string; magic: readonly number[] }[] = [
  { name: 'a zstd stream', magic: [0x28, 0xb5, 0x2f, 0xfd] },
  { name: 'a zip archive (or a spreadsheet)', magic: [0x50, 0x4b, 0x03, 0x04] },
  { name: 'an xz stream', magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a] },
  { name: 'a bzip2 stream', magic: [0x42, 0x5a, 0x68] },
  { name: 'a Parquet file', magic: [0x50, 0x41, 0x52, 0x31] },
  { name: 'an Arrow file', magic: [0x41, 0x52, 0x52, 0x4f, 0x57, 0x31] },
]

/** How the beginning of an input says it is compressed. Throws `ETL_FORMAT_UNSUPPORTED` for other containers. */
export function detectCompression(head: Uint8Array, file: string): Compression {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip'
  for (const { name, magic } of FOREIGN) {
    const starts = magic.every((byte, at) => head[at] === byte)
    // Text may begin like "BZh" or "PAR1": only what cannot be text is refused by its first bytes.
    if (starts && !looksLikeText(head)) {
      throw new EtlError(
        'ETL_FORMAT_UNSUPPORTED',
        `${file}: expected CSV, JSON or JSON Lines, plain or compressed with gzip or brotli, got ${name}`,
        { context: { file } },
      )
    }
  }
  return !looksLikeText(head) && unpacksAsBrotli(head, /\.br$/i.test(file)) ? 'brotli' : 'none'
}

function looksLikeText(head: Uint8Array): boolean {
  if (head.length === 0 || head[0] === 0xfe || head[0] === 0xff) return true
  for (let cut = 0; cut <= 3 && cut < head.length; cut++) {
    const part = head.subarray(0, head.length - cut)
    if (isUtf8(part)) return !part.some((byte) => byte < 0x20 && byte !== 9 && byte !== 10 && byte !== 13)
  }
  return false
}

/** Brotli has no magic number. Where too little is there to see, the name decides. */
function unpacksAsBrotli(head: Uint8Array, named: boolean): boolean {
  try {
    const out = brotliDecompressSync(head, {
      finishFlush: constants.BROTLI_OPERATION_FLUSH,
      maxOutputLength: RATIO_FROM_BYTES,
    })
    return out.length > 0 ? looksLikeText(out) : named
  } catch (error) {
    return (error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE'
  }
}

/** Decompressed bytes. Throws `ETL_COMPRESSED_TRUNCATED`, `ETL_COMPRESSED_BROKEN`, `ETL_COMPRESSED_TOO_LARGE`. */
export async function* decompress(
  chunks: AsyncIterable<Uint8Array>,
  compression: Compression,
  file: string,
  limits: DecompressLimits = {},
): AsyncGenerator<Uint8Array> {
  if (compression === 'none') {
    yield* chunks
    return
  }
  const maxRatio = limits.maxRatio ?? DEFAULT_MAX_RATIO
  const maxBytes = limits.maxDecodedBytes ?? DEFAULT_MAX_DECODED_BYTES
  let bytesIn = 0
  let bytesOut = 0
  let upstream: unknown
  const counted = async function* () {
    try {
      for await (const chunk of chunks) {
        bytesIn += chunk.length
        yield chunk
      }
    } catch (error) {
      upstream = error
      throw error
    }
  }
  const options = { chunkSize: Math.max(64, limits.chunkBytes ?? 64 * 1024) }
  const unpack = compression === 'gzip' ? createGunzip(options) : createBrotliDecompress(options)
  pipeline(Readable.from(counted(), { highWaterMark: 1 }), unpack, () => {})
  try {
    for await (const chunk of unpack as AsyncIterable<Uint8Array>) {
      bytesOut += chunk.length
      if (bytesOut > maxBytes) throw tooLarge(file, `more than ${maxBytes} bytes (maxDecodedBytes)`)
      if (bytesOut > RATIO_FROM_BYTES && bytesOut > bytesIn * maxRatio) {
        throw tooLarge(file, `more than ${maxRatio} bytes per compressed byte (maxRatio)`)
      }
      yield chunk
    }
  } catch (error) {
    if (upstream !== undefined) throw upstream
    throw translate(error, compression, file, bytesOut)
  } finally {
    unpack.destroy()
  }
}

function tooLarge(file: string, what: string): EtlError {
  return new EtlError(
    'ETL_COMPRESSED_TOO_LARGE',
    `${file} unpacks to ${what}; raise the limit if the file is trusted`,
    {
      context: { file },
    },
  )
}

function translate(error: unknown, compression: Compression, file: string, byte: number): unknown {
  const code = (error as { code?: string }).code ?? ''
  if (code === 'Z_BUF_ERROR') {
    return new EtlError(
      'ETL_COMPRESSED_TRUNCATED',
      `${file}: the ${compression} data ends too early, after ${byte} decompressed bytes; the file is incomplete, fetch it again`,
      { context: { file, byte }, cause: error },
    )
  }
  if (code.startsWith('Z_') || code.startsWith('ERR__ERROR_FORMAT') || code.startsWith('ERR_')) {
    return new EtlError(
      'ETL_COMPRESSED_BROKEN',
      `${file}: the ${compression} data is broken after ${byte} decompressed bytes: ${messageOf(error)}`,
      { context: { file, byte }, cause: error },
    )
  }
  return error
}
