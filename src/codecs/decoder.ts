/**
 * What every engine that turns bytes into rows looks like from outside. Engines do no I/O, never wait, and give
 * the same rows, rejections and error however the bytes are cut into pieces. Sources know this interface only,
 * so that a faster engine can take the place of a slower one.
 */
import type { Batch, Origin, Position, RejectedRow, Row } from '../contracts.js'
import { describePosition, EtlError } from '../errors.js'

/** Where decoding can begin again. Plain JSON, part of a source's cursor. */
export interface ResumePoint {
  /** Offset of the first byte that is not decoded yet. */
  readonly byte: number
  /** Rows before it, rejected ones included. */
  readonly row: number
  /** Line of that byte, counted from 1. */
  readonly line: number
  /** The byte lies inside a row that was rejected already: its rest is passed over. */
  readonly inside?: true
}

/** What became known with one piece of input. */
export interface Decoded<R = Row> {
  /** The rows, with their positions as origin and without a cursor; may be empty. */
  readonly batch: Batch<R>
  /** Rows that cannot go on, in row order, with their positions. The border behind each is certain. */
  readonly rejected: readonly RejectedRow[]
  /** Covers all rows of the batch and all rejected ones. */
  readonly resume: ResumePoint
  /** The input cannot be decoded beyond this point. Rows before it are in the batch. */
  readonly error?: EtlError | undefined
}

/** One input from its beginning, or from a resume point. */
export interface Decoder<R = Row> {
  /** Takes well-formed UTF-8 without a byte order mark, cut anywhere; the bytes belong to the decoder from then on. */
  readonly push: (bytes: Uint8Array) => Decoded<R> | undefined
  /** No more bytes come. */
  readonly end: () => Decoded<R> | undefined
}

export interface DecoderSetup {
  /** Named in positions and messages. */
  readonly file?: string | undefined
  /** Where the first byte pushed lies, made by an earlier decoder; default the beginning. */
  readonly resume?: ResumePoint | undefined
  /** Offset of the first byte pushed where nothing is resumed. Default 0. */
  readonly base?: number | undefined
  /** `'any'`: batches may hold JSON text. Default `'rows'`. */
  readonly form?: 'rows' | 'any' | undefined
  /** A row with more bytes is refused. Default 16 MiB. */
  readonly maxRowBytes?: number | undefined
}

export function startOf(setup: DecoderSetup): ResumePoint {
  return setup.resume ?? { byte: setup.base ?? 0, row: 0, line: 1 }
}

export const DEFAULT_MAX_ROW_BYTES = 16 * 1024 * 1024

/** Positions of the rows of one batch, kept as plain lists while a batch grows. */
export class Positions {
  readonly lines: number[] = []
  readonly bytes: number[] = []
  private readonly file: string | undefined
  private first = 0
  /** For each row its distance from the first, once one was left out. */
  private distances: number[] | undefined

  constructor(file: string | undefined) {
    this.file = file
  }

  /** Row number `row`, counted from 1, starts at this line and byte. */
  add(row: number, line: number, byte: number): void {
    const count = this.lines.push(line)
    this.bytes.push(byte)
    if (count === 1) this.first = row
    else if (this.distances !== undefined || row - this.first !== count - 1) this.leap(row, count)
  }

  origin(): Origin | undefined {
    if (this.lines.length === 0) return undefined
    return {
      ...(this.file === undefined ? {} : { file: this.file }),
      row: this.first,
      lines: this.lines,
      bytes: this.bytes,
      ...(this.distances === undefined ? {} : { rows: this.distances }),
    }
  }

  private leap(row: number, count: number): void {
    this.distances ??= Array.from({ length: count - 1 }, (_, index) => index)
    this.distances.push(row - this.first)
  }
}

/** Bytes that wait for the rest of their row. Joined only when that rest has come. */
export class Carry {
  length = 0
  private parts: Uint8Array[] = []

  add(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.parts.push(bytes)
    this.length += bytes.length
  }

  /** All of it followed by `bytes`; nothing waits afterwards. */
  take(bytes?: Uint8Array): Buffer {
    const parts = bytes === undefined ? this.parts : [...this.parts, bytes]
    this.clear()
    const only = parts.length === 1 ? parts[0] : undefined
    return only === undefined
      ? Buffer.concat(parts)
      : Buffer.from(only.buffer, only.byteOffset, only.byteLength)
  }

  clear(): void {
    this.parts = []
    this.length = 0
  }
}

/** How much of a rejected row's text is kept with it. */
const MAX_SHOWN = 64 * 1024

export function shownText(bytes: Buffer, start: number, end: number): string {
  return bytes.toString('utf8', start, Math.min(end, start + MAX_SHOWN))
}

/** How often a byte occurs from `start` up to `end`. */
export function countByte(bytes: Buffer, byte: number, start: number, end: number): number {
  let count = 0
  for (let at = bytes.indexOf(byte, start); at !== -1 && at < end; at = bytes.indexOf(byte, at + 1)) count++
  return count
}

/** The position of one row, as messages and origins give it. */
export interface Place extends Position {
  readonly row: number
  readonly line: number
  readonly byte: number
}

export function place(file: string | undefined, row: number, line: number, byte: number): Place {
  return file === undefined ? { row, line, byte } : { file, row, line, byte }
}

export function rowTooLarge(limit: number, at: Place, hint = ''): EtlError {
  return new EtlError(
    'ETL_ROW_TOO_LARGE',
    `expected rows of at most ${limit} bytes, got a larger one${describePosition(at)}${hint}; raise maxRowBytes if it is meant to be one row`,
    { context: { ...at } },
  )
}
