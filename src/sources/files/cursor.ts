/** Positions in files, and why one cannot be used. */
import type { ResumePoint } from '../../codecs/decoder.js'
import type { Json } from '../../contracts.js'
import { EtlError } from '../../errors.js'
import type { FileStamp, OpenBytes } from './bytes.js'
import type { Part } from './input.js'

/** Everything that reading on needs: nothing is guessed anew. */
export interface FileCursor {
  readonly file: string
  readonly format: string
  readonly stamp: FileStamp
  readonly at: ResumePoint
  readonly plan?: Json
  /** Rows of the files before this one, where one read covers several. */
  readonly before: number
  readonly shared?: Json
}

export function cursorOf(from: Json): FileCursor {
  const cursor = from as unknown as Partial<FileCursor> | null
  const whole =
    typeof cursor === 'object' &&
    cursor !== null &&
    typeof cursor.file === 'string' &&
    typeof cursor.at?.byte === 'number' &&
    typeof cursor.stamp?.size === 'number'
  if (!whole) throw badCursor('it was not made by a file source')
  return cursor as FileCursor
}

export function badCursor(why: string): EtlError {
  return new EtlError(
    'ETL_CURSOR_INVALID',
    `the saved position cannot be used: ${why}; start anew without the checkpoint`,
  )
}

export function partsFrom(all: Part[], cursor: FileCursor): Part[] {
  if (all.some((part) => part.kind === 'stream')) throw notResumable(all[0]?.name ?? 'the input')
  const index = all.findIndex((part) => part.name === cursor.file)
  if (index === -1) throw changed(cursor.file, 'it is not among the files to read any more')
  return all.slice(index)
}

export function checkStamp(file: string, bytes: OpenBytes, cursor: FileCursor): void {
  if (bytes.stamp === undefined) throw notResumable(file)
  const { size: was, mtimeMs } = cursor.stamp
  if (bytes.stamp.size !== was) throw changed(file, `it had ${was} bytes and has ${bytes.stamp.size} now`)
  if (bytes.stamp.mtimeMs !== mtimeMs) throw changed(file, 'its modification time is another one')
}

export function changed(file: string, how: string): EtlError {
  return new EtlError(
    'ETL_FILE_CHANGED',
    `${file} is not the file that was read before: ${how}; start anew without the checkpoint`,
    { context: { file } },
  )
}

function notResumable(file: string): EtlError {
  return new EtlError(
    'ETL_SOURCE_NOT_RESUMABLE',
    `${file} is a stream and cannot be read on from a position; save it to a file, or run without a checkpoint`,
    { context: { file } },
  )
}
