/** Options that every file source has, with their defaults. */
import { checkEncoding } from '../../codecs/text-encoding.js'
import { wholeNumber } from '../../internal/options.js'
import type { FileFormat } from './format.js'
import type { Part } from './input.js'

export interface FileOptions {
  /** Shown in the ledger and in messages. Default the format. */
  readonly name?: string | undefined
  /** A label that `TextDecoder` knows. Default: by byte order mark or zero bytes, else UTF-8. */
  readonly encoding?: string | undefined
  /** Bytes read at once, and rows of one batch. Default 262,144. */
  readonly chunkBytes?: number | undefined
  /** A larger row is refused. Default 16 MiB. */
  readonly maxRowBytes?: number | undefined
  /** Decompressed bytes per compressed byte, once 16 MiB came out. Default 200. */
  readonly maxRatio?: number | undefined
  /** Decompressed bytes of one file. Default 1 TiB. */
  readonly maxDecodedBytes?: number | undefined
  /** The sample that a layout is told from ends so long after its first bytes came. Default 1000 ms. */
  readonly sampleAgeMs?: number | undefined
}

const DEFAULT_CHUNK_BYTES = 256 * 1024
const DEFAULT_SAMPLE_AGE_MS = 1000

/** Which format a part has. `head` reads its beginning. */
export type PickFormat = (part: Part, head: () => Promise<Uint8Array>) => FileFormat | Promise<FileFormat>

export interface Setup {
  readonly chunkBytes: number
  readonly sampleAgeMs: number
  readonly options: FileOptions
  readonly formats: readonly FileFormat[]
  readonly pick: PickFormat
}

export function setupOf(options: FileOptions, formats: readonly FileFormat[], pick: PickFormat): Setup {
  checkEncoding(options.encoding)
  wholeNumber('maxRowBytes', options.maxRowBytes, undefined)
  wholeNumber('maxRatio', options.maxRatio, undefined)
  wholeNumber('maxDecodedBytes', options.maxDecodedBytes, undefined)
  return {
    chunkBytes: wholeNumber('chunkBytes', options.chunkBytes, DEFAULT_CHUNK_BYTES),
    sampleAgeMs: wholeNumber('sampleAgeMs', options.sampleAgeMs, DEFAULT_SAMPLE_AGE_MS, 0),
    options,
    formats,
    pick,
  }
}
