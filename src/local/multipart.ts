/** A multipart upload: small fields into memory, the file to disk as it comes. */
import { createHash } from 'node:crypto'
import { type FileHandle, open, rm } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { UNSIGNED_PAYLOAD } from '../http/sigv4.js'
import { declaredLength, tooLarge } from './body.js'
import { ApiError, malformed } from './reply.js'

const MAX_HEADER_BYTES = 16 * 1024
const MAX_FIELD_BYTES = 64 * 1024
const MAX_FIELDS = 100

export interface Upload {
  readonly fields: ReadonlyMap<string, string>
  /** What the client called the file; undefined where none came. */
  readonly fileName: string | undefined
  readonly bytes: number
}

interface Part {
  readonly name: string
  readonly isFile: boolean
  readonly chunks: Buffer[]
  bytes: number
}

/** Writes the part named `file` to `path`. Where it throws, no file stays behind. */
export async function receiveUpload(
  request: IncomingMessage,
  path: string,
  limitBytes: number,
): Promise<Upload> {
  const boundary = boundaryOf(request.headers['content-type'])
  if ((declaredLength(request) ?? 0) > limitBytes) throw tooLarge(limitBytes)
  const file = await open(path, 'wx', 0o600)
  let done = false
  try {
    const upload = await receive(request, boundary, file, limitBytes)
    done = true
    return upload
  } catch (error) {
    if (error instanceof ApiError) throw error
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOSPC') throw new ApiError(507, 'insufficient_storage', 'the disk is full')
    if (code === 'ECONNRESET' || request.destroyed)
      throw new ApiError(400, 'incomplete_body', 'the connection closed before the upload ended')
    throw error
  } finally {
    await file.close()
    if (!done) await rm(path, { force: true })
  }
}

function boundaryOf(contentType: string | undefined): string {
  const match = /^multipart\/form-data\s*;.*?\bboundary=(?:"([^"]{1,200})"|([^\s;]{1,200}))/i.exec(
    contentType ?? '',
  )
  const boundary = match?.[1] ?? match?.[2]
  if (boundary === undefined) throw malformed('expected content-type multipart/form-data with a boundary')
  return boundary
}

async function receive(
  request: IncomingMessage,
  boundary: string,
  file: FileHandle,
  limitBytes: number,
): Promise<Upload> {
  const expected = request.headers['x-amz-content-sha256']
  const hash = expected === UNSIGNED_PAYLOAD ? undefined : createHash('sha256')
  const delimiter = Buffer.from(`\r\n--${boundary}`)
  const fields = new Map<string, string>()
  let fileName: string | undefined
  let fileBytes = 0
  let state: 'part' | 'after' | 'headers' | 'end' = 'part'
  let part: Part | undefined
  // As if a line break came before the first delimiter, which stands at the very beginning.
  let rest: Buffer = Buffer.from('\r\n')
  let bytes = 0

  const take = async (data: Buffer): Promise<void> => {
    if (part === undefined || data.length === 0) return
    part.bytes += data.length
    if (part.isFile) await writeAll(file, data)
    else if (part.bytes > MAX_FIELD_BYTES)
      throw malformed(`the field ${part.name} is over ${MAX_FIELD_BYTES} bytes`)
    else part.chunks.push(data)
  }
  const finish = () => {
    if (part === undefined) return
    if (part.isFile) fileBytes = part.bytes
    else fields.set(part.name, Buffer.concat(part.chunks).toString('utf8'))
    if (fields.size > MAX_FIELDS) throw malformed(`more than ${MAX_FIELDS} fields`)
    part = undefined
  }

  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > limitBytes) throw tooLarge(limitBytes)
    hash?.update(chunk)
    if (state === 'end') continue
    let data: Buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    for (;;) {
      if (state === 'part') {
        const at = data.indexOf(delimiter)
        if (at < 0) {
          const keep = Math.max(0, data.length - delimiter.length + 1)
          await take(data.subarray(0, keep))
          data = data.subarray(keep)
          break
        }
        await take(data.subarray(0, at))
        finish()
        data = data.subarray(at + delimiter.length)
        state = 'after'
      } else if (state === 'after') {
        if (data.length < 2) break
        if (data.toString('latin1', 0, 2) === '--') {
          state = 'end'
          data = data.subarray(data.length)
          break
        }
        const end = data.indexOf('\r\n')
        if (end < 0 && data.length <= MAX_HEADER_BYTES) break
        if (end !== 0 && data.toString('latin1', 0, Math.max(0, end)).trim() !== '')
          throw malformed('the multipart body holds a broken delimiter')
        data = data.subarray(end)
        state = 'headers'
      } else {
        // The line break of the delimiter stands before the first header, so that a part without headers ends too.
        const end = data.indexOf('\r\n\r\n')
        if (end < 0) {
          if (data.length > MAX_HEADER_BYTES) throw malformed('a part has headers over 16 KiB')
          break
        }
        const { name, fileName: given } = disposition(data.toString('utf8', 0, end))
        const isFile = name === 'file'
        if (isFile && fileName !== undefined)
          throw malformed('expected one part named file, got a second one')
        if (isFile) fileName = given ?? ''
        part = { name, isFile, chunks: [], bytes: 0 }
        data = data.subarray(end + 4)
        state = 'part'
      }
    }
    // A copy, so that a small remainder does not keep a large chunk alive.
    rest = Buffer.from(data)
  }
  if (hash !== undefined && hash.digest('hex') !== expected)
    throw new ApiError(401, 'unauthorized', 'Invalid signature: the body is not the one that was signed')
  if (state !== 'end')
    throw new ApiError(400, 'incomplete_body', 'the multipart body ends before its last delimiter')
  return { fields, fileName, bytes: fileBytes }
}

function disposition(headers: string): { name: string; fileName: string | undefined } {
  const line = /^content-disposition:\s*form-data\b(.*)$/im.exec(headers)?.[1] ?? ''
  const name = /;\s*name="((?:[^"\\]|\\.)*)"/i.exec(line)?.[1]
  if (name === undefined) throw malformed('a part has no name')
  return { name, fileName: /;\s*filename="((?:[^"\\]|\\.)*)"/i.exec(line)?.[1] }
}

async function writeAll(file: FileHandle, data: Buffer): Promise<void> {
  let at = 0
  while (at < data.length) at += (await file.write(data, at, data.length - at)).bytesWritten
}
