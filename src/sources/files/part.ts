/** Reads one file or stream: rejections and rows in order, a cursor with every batch, an honest end. */
import { originAt, size, slice, withCursor } from '../../batch.js'
import type { Decoded, ResumePoint } from '../../codecs/decoder.js'
import type { Batch, Json, ReadRequest, RejectedRow } from '../../contracts.js'
import { describePosition, EtlError, isEtlError } from '../../errors.js'
import { openBytes } from './bytes.js'
import { badCursor, changed, checkStamp, type FileCursor } from './cursor.js'
import type { FileFormat } from './format.js'
import type { Part } from './input.js'
import { openTextOf, planOf } from './plan.js'
import type { Setup } from './setup.js'
import type { Text } from './text.js'

/** Reads one part from its beginning, or from a cursor. */
export class PartReading {
  /** Rows so far, those of earlier parts included. */
  rows: number
  proven = false
  private readonly part: Part
  private readonly setup: Setup
  private readonly request: ReadRequest
  private readonly before: number
  private readonly shared: Json | undefined
  private readonly cursor: FileCursor | undefined

  constructor(
    part: Part,
    setup: Setup,
    request: ReadRequest,
    before: number,
    shared: Json | undefined,
    cursor: FileCursor | undefined,
  ) {
    this.part = part
    this.setup = setup
    this.request = request
    this.before = before
    this.rows = before
    this.shared = shared
    this.cursor = cursor
  }

  async *run(progress: (part: Part, bytes: number) => void): AsyncGenerator<Batch> {
    const { part, setup, request, cursor, before } = this
    const file = part.name
    const drift = new Map<string, number>()
    const bytes = await openBytes(part, setup.chunkBytes, request.signal)
    let text: Text | undefined
    try {
      if (cursor !== undefined) checkStamp(file, bytes, cursor)
      text = await openTextOf(bytes, file, setup, cursor?.at.byte)
      const { format, plan } =
        cursor === undefined
          ? await planOf(part, text, setup, this.shared)
          : { format: this.formatNamed(cursor.format), plan: cursor.plan }
      request.log?.info('reading', {
        file,
        format: format.name,
        ...(plan === undefined ? {} : format.facts?.(plan)),
      })
      const decoder = format.decoder(plan, {
        file,
        form: request.form,
        maxRowBytes: setup.options.maxRowBytes,
        base: text.base,
        resume: cursor?.at,
        onDrift: (column) => drift.set(column, (drift.get(column) ?? 0) + 1),
      })
      const cursorAt = (at: ResumePoint): Json | undefined =>
        bytes.stamp &&
        ({
          file,
          format: format.name,
          stamp: bytes.stamp,
          at,
          before,
          ...(plan === undefined ? {} : { plan }),
          ...(this.shared === undefined ? {} : { shared: this.shared }),
        } as unknown as Json)
      let at = cursor?.at ?? { byte: text.base, row: 0, line: 1 }
      try {
        for await (const chunk of text.chunks) {
          progress(part, bytes.bytesRead())
          const decoded = decoder.push(chunk)
          if (decoded === undefined) continue
          at = decoded.resume
          yield* this.give(decoded, cursorAt)
        }
      } catch (error) {
        throw placed(error, at)
      }
      const decoded = decoder.end()
      if (decoded !== undefined) {
        at = decoded.resume
        yield* this.give(decoded, cursorAt)
      }
      progress(part, bytes.bytesRead())
      if (bytes.stamp !== undefined && bytes.bytesRead() < bytes.stamp.size)
        throw changed(file, 'it became shorter while it was read')
      this.rows = before + at.row
      this.proven = await bytes.complete()
    } finally {
      text?.chunks.close()
      await bytes.close()
      for (const [column, cells] of drift) {
        request.log?.warn('cells do not fit the type of their column and were kept as text', {
          file,
          column,
          cells,
        })
      }
    }
  }

  private formatNamed(name: string): FileFormat {
    const format = this.setup.formats.find((candidate) => candidate.name === name)
    if (format === undefined) throw badCursor(`it is for the format ${name}`)
    return format
  }

  /** The rejections of a piece, its rows, its error; rows before a rejection that ends the run are given first. */
  private *give(decoded: Decoded, cursorAt: (at: ResumePoint) => Json | undefined): Generator<Batch> {
    const { batch, rejected, resume, error } = decoded
    for (const row of rejected) {
      try {
        this.reject(row)
      } catch (failure) {
        const kept = rowsBefore(batch, row.position?.row ?? 0)
        if (kept > 0) yield slice(batch, 0, kept)
        throw failure
      }
    }
    const cursor = cursorAt(resume)
    if (size(batch) > 0 || (cursor !== undefined && rejected.length > 0)) yield withCursor(batch, cursor)
    if (error !== undefined) throw error
  }

  private reject(row: RejectedRow): void {
    if (this.request.reject === undefined)
      throw new EtlError(row.code, `${row.reason}${describePosition(row.position)}`, {
        context: { ...row.position },
      })
    this.request.reject(row)
  }
}

/** How many rows of the batch come before this row of the file. */
function rowsBefore(batch: Batch, row: number): number {
  let count = 0
  while (count < size(batch) && (originAt(batch, count)?.row ?? 0) < row) count++
  return count
}

/** Tells the row in which the text itself is broken, as far as it was decoded. */
function placed(error: unknown, at: ResumePoint): unknown {
  if (!isEtlError(error) || error.code !== 'ETL_TEXT_INVALID') return error
  return new EtlError(
    error.code,
    `${error.message} (in row ${at.row + 1}, which starts on line ${at.line})`,
    {
      context: { ...error.context, row: at.row + 1, line: at.line },
      cause: error.cause,
    },
  )
}
