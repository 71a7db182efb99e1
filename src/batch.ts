/**
 * The two forms of a batch, and the one module that knows both: rows, and rows as JSON text. A batch may hold
 * either, or both aligned row for row.
 */
import { isAscii } from 'node:buffer'
import type { Batch, Cursor, JsonLines, Origin, Position } from './contracts.js'
import { EtlError } from './errors.js'
import { hasLongDigits, parseJson, stringifyJson } from './json.js'

/** A batch of rows. */
export function rowsBatch<R>(rows: readonly R[], cursor?: Cursor, origin?: Origin): Batch<R> {
  return { rows, cursor, origin, text: undefined }
}

/** A batch that holds its rows as JSON text only. */
export function textBatch<R>(text: JsonLines, cursor?: Cursor, origin?: Origin): Batch<R> {
  return new UnparsedBatch<R>(text, cursor, origin)
}

class UnparsedBatch<R> implements Batch<R> {
  readonly text: JsonLines
  readonly cursor: Cursor | undefined
  readonly origin: Origin | undefined

  constructor(text: JsonLines, cursor: Cursor | undefined, origin: Origin | undefined) {
    this.text = text
    this.cursor = cursor
    this.origin = origin
  }

  get rows(): readonly R[] {
    throw new EtlError(
      'ETL_BATCH_UNPARSED',
      "the batch holds JSON text that was not parsed: read the source with form 'rows', or call parse() first",
    )
  }
}

export function isParsed(batch: Batch<unknown>): boolean {
  return !(batch instanceof UnparsedBatch)
}

/** How many rows the batch holds. */
export function size(batch: Batch<unknown>): number {
  return batch.text === undefined ? batch.rows.length : batch.text.count
}

/** The same rows under another cursor. */
export function withCursor<R>(batch: Batch<R>, cursor: Cursor | undefined): Batch<R> {
  if (batch.cursor === cursor) return batch
  return remake(batch, batch.text, cursor, batch.origin, () => batch.rows)
}

/** Rows `start` up to `end`. Only the part that holds the last row keeps the cursor. */
export function slice<R>(batch: Batch<R>, start: number, end: number): Batch<R> {
  const count = size(batch)
  if (start === 0 && end >= count) return batch
  const text = batch.text && {
    bytes: batch.text.bytes,
    starts: sliceOf(batch.text.starts, start, end),
    ends: sliceOf(batch.text.ends, start, end),
    count: Math.min(end, count) - start,
  }
  const origin = batch.origin && sliceOrigin(batch.origin, start, end)
  return remake(batch, text, end >= count ? batch.cursor : undefined, origin, () =>
    batch.rows.slice(start, end),
  )
}

/** The rows at these ascending indexes, with the batch's cursor: rows left out were dropped, not postponed. */
export function select<R>(batch: Batch<R>, indexes: readonly number[]): Batch<R> {
  if (indexes.length === size(batch)) return batch
  const text = batch.text && {
    bytes: batch.text.bytes,
    starts: pick(batch.text.starts, indexes),
    ends: pick(batch.text.ends, indexes),
    count: indexes.length,
  }
  const origin = batch.origin && pickOrigin(batch.origin, indexes)
  return remake(batch, text, batch.cursor, origin, () => pick(batch.rows, indexes))
}

/** New rows in the place of the batch's own: row `i` comes from row `parents[i]`, or from row `i` without `parents`. */
export function replaceRows<R>(
  batch: Batch<unknown>,
  rows: readonly R[],
  parents?: readonly number[],
): Batch<R> {
  const origin = parents && batch.origin ? pickOrigin(batch.origin, parents) : batch.origin
  return rowsBatch(rows, batch.cursor, origin)
}

/**
 * The batch with its rows parsed; the text stays beside them. `onBad` gets the index, the text and the reason
 * of each row that is no JSON object, and such rows are left out.
 */
export function parse<R>(
  batch: Batch<R>,
  onBad: (index: number, text: string, reason: string) => void,
): Batch<R> {
  const { text } = batch
  if (isParsed(batch) || text === undefined) return batch
  const { starts, ends, count } = text
  const bytes = bufferOver(text.bytes)
  const whole = count === 0 ? bytes : bytes.subarray(starts[0], ends[count - 1])
  // Looked at once for all rows: most batches need neither UTF-8 nor exact numbers.
  const encoding = isAscii(whole) ? 'latin1' : 'utf8'
  const read = hasLongDigits(whole) ? parseJson : (JSON.parse as (text: string) => unknown)
  const rows: R[] = []
  let kept: number[] | undefined
  for (let index = 0; index < count; index++) {
    const line = bytes.toString(encoding, starts[index], ends[index])
    let reason: string
    try {
      const row = read(line)
      if (isRow(row)) {
        rows.push(row as R)
        kept?.push(index)
        continue
      }
      reason = `expected a JSON object, got ${kindOf(row)}`
    } catch (error) {
      reason = `broken JSON: ${(error as Error).message}`
    }
    kept ??= Array.from({ length: index }, (_, before) => before)
    onBad(index, line, reason)
  }
  const chosen = kept === undefined ? batch : select(batch, kept)
  return { rows, cursor: chosen.cursor, origin: chosen.origin, text: chosen.text }
}

/** The row itself; parsed from its text where needed. Throws `SyntaxError` for broken text. */
export function rowAt<R>(batch: Batch<R>, index: number): R {
  return isParsed(batch) ? (batch.rows[index] as R) : (parseJson(textAt(batch, index)) as R)
}

/** The row as JSON text. */
export function textAt(batch: Batch<unknown>, index: number): string {
  const text = batch.text
  if (text === undefined) return stringifyJson(batch.rows[index])
  return bufferOver(text.bytes).toString('utf8', text.starts[index], text.ends[index])
}

/** Where a row comes from, as far as the source told. */
export function originAt(batch: Batch<unknown>, index: number): Position | undefined {
  const origin = batch.origin
  if (origin === undefined) return undefined
  const distance = origin.rows === undefined ? index : (origin.rows[index] ?? 0)
  return {
    ...(origin.file === undefined ? {} : { file: origin.file }),
    ...(origin.page === undefined ? {} : { page: origin.page }),
    ...(origin.row === undefined ? {} : { row: origin.row + distance }),
    ...(origin.lines === undefined ? {} : { line: origin.lines[index] as number }),
    ...(origin.bytes === undefined ? {} : { byte: origin.bytes[index] as number }),
  }
}

/**
 * Writes the row's JSON text at `at` and returns the new end, or -1 when there is no room. `into` should be a
 * Buffer. Throws `ETL_ROW_UNSERIALISABLE`.
 */
export function putRow(batch: Batch<unknown>, index: number, into: Uint8Array, at: number): number {
  const text = batch.text
  if (text !== undefined) {
    const start = text.starts[index] as number
    const end = text.ends[index] as number
    const after = at + end - start
    if (after > into.length) return -1
    into.set(text.bytes.subarray(start, end), at)
    return after
  }
  const json = stringifyJson(batch.rows[index])
  if (json === undefined) {
    throw new EtlError('ETL_ROW_UNSERIALISABLE', 'the row has no JSON text: it is no object')
  }
  return putText(json, into, at)
}

/** Writes text as UTF-8 at `at` and returns the new end, or -1 when there is no room. */
export function putText(text: string, into: Uint8Array, at: number): number {
  const room = into.length - at
  if (text.length > room) return -1
  const buffer = bufferOver(into)
  if (text.length * 3 > room && Buffer.byteLength(text) > room) return -1
  return at + buffer.utf8Write(text, at)
}

/** Bytes of the rows as JSON: exact for text, otherwise estimated from a few rows. */
export function byteSize(batch: Batch<unknown>): number {
  const count = size(batch)
  if (count === 0) return 0
  if (batch.text !== undefined) {
    let bytes = 0
    for (let i = 0; i < count; i++) bytes += (batch.text.ends[i] as number) - (batch.text.starts[i] as number)
    return bytes
  }
  const step = Math.max(1, Math.floor(count / SAMPLE))
  let bytes = 0
  let seen = 0
  for (let i = 0; i < count; i += step, seen++) bytes += estimate(batch.rows[i], 0)
  return Math.ceil((bytes / seen) * count)
}

const SAMPLE = 8

function estimate(value: unknown, depth: number): number {
  if (typeof value === 'string') return value.length + 3
  if (typeof value !== 'object' || value === null || depth > 8) return 8
  let bytes = 2
  if (Array.isArray(value)) {
    for (const item of value) bytes += estimate(item, depth + 1)
    return bytes
  }
  if (ArrayBuffer.isView(value)) return value.byteLength
  for (const key in value)
    bytes += key.length + 4 + estimate((value as Record<string, unknown>)[key], depth + 1)
  return bytes
}

/** One plain object, which is what a row has to be. */
export function isRow(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What a value is, for a message. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value)
    ? 'an array'
    : value === undefined
      ? 'undefined'
      : typeof value === 'object'
        ? 'an object'
        : `a ${typeof value}`
}

function remake<R>(
  batch: Batch<R>,
  text: JsonLines | undefined,
  cursor: Cursor | undefined,
  origin: Origin | undefined,
  rows: () => readonly R[],
): Batch<R> {
  if (!isParsed(batch)) return new UnparsedBatch<R>(text as JsonLines, cursor, origin)
  return { rows: rows(), cursor, origin, text }
}

function sliceOrigin(origin: Origin, start: number, end: number): Origin {
  return {
    ...origin,
    ...(origin.rows === undefined
      ? origin.row === undefined
        ? {}
        : { row: origin.row + start }
      : { rows: sliceOf(origin.rows, start, end) }),
    ...(origin.lines === undefined ? {} : { lines: sliceOf(origin.lines, start, end) }),
    ...(origin.bytes === undefined ? {} : { bytes: sliceOf(origin.bytes, start, end) }),
  }
}

function pickOrigin(origin: Origin, indexes: readonly number[]): Origin {
  return {
    ...origin,
    rows: origin.rows === undefined ? indexes : pick(origin.rows, indexes),
    ...(origin.lines === undefined ? {} : { lines: pick(origin.lines, indexes) }),
    ...(origin.bytes === undefined ? {} : { bytes: pick(origin.bytes, indexes) }),
  }
}

function sliceOf(list: ArrayLike<number>, start: number, end: number): ArrayLike<number> {
  if (ArrayBuffer.isView(list)) return (list as Float64Array).subarray(start, end)
  return Array.prototype.slice.call(list, start, end)
}

function pick<T>(list: ArrayLike<T>, indexes: readonly number[]): T[] {
  const picked = new Array<T>(indexes.length)
  for (let i = 0; i < indexes.length; i++) picked[i] = list[indexes[i] as number] as T
  return picked
}

function bufferOver(bytes: Uint8Array): Buffer & { utf8Write(text: string, at: number): number } {
  const buffer = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return buffer as Buffer & { utf8Write(text: string, at: number): number }
}
