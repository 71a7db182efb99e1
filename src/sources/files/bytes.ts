/** Opens one part and gives its bytes: one chunk is read ahead, every wait takes the signal, `close` releases. */
import { type FileHandle, open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { abortError, EtlError, messageOf, throwIfAborted } from '../../errors.js'
import { type ByteStream, cannotRead, isDirectory, type Part } from './input.js'

/** What tells that a file is still the same. */
export interface FileStamp {
  readonly size: number
  readonly mtimeMs: number
}

export interface OpenBytes {
  /** Present for a regular file, as it was when opened. */
  readonly stamp: FileStamp | undefined
  /** Bytes given so far; those before a `seek` count. */
  readonly bytesRead: () => number
  /** The next chunk, or nothing at the end. */
  readonly next: () => Promise<Uint8Array | undefined>
  /** Regular files only: the next chunk begins there. */
  readonly seek: (byte: number) => void
  /** Whether the file was read to its size, and has that size still. */
  readonly complete: () => Promise<boolean>
  readonly close: () => Promise<void>
}

export async function openBytes(
  part: Part,
  chunkBytes: number,
  signal: AbortSignal | undefined,
): Promise<OpenBytes> {
  throwIfAborted(signal)
  if (part.kind === 'stream') return openStream(part.open(), part.name, chunkBytes, signal)
  const opening = open(part.name, 'r')
  const handle = await untilAborted(opening, signal).catch((error: unknown) => {
    // A pipe without a writer opens late: nobody waits for it then.
    opening.then((late) => late.close()).catch(() => {})
    throw error instanceof EtlError ? error : cannotRead(part.name, error)
  })
  const stats = await handle.stat()
  if (stats.isDirectory()) {
    await handle.close()
    throw isDirectory(part.name)
  }
  const stamp = stats.isFile() ? { size: stats.size, mtimeMs: stats.mtimeMs } : undefined
  return new OpenFile(handle, part.name, stamp, chunkBytes, signal)
}

class OpenFile implements OpenBytes {
  readonly stamp: FileStamp | undefined
  private readonly handle: FileHandle
  private readonly name: string
  private readonly chunkBytes: number
  private readonly signal: AbortSignal | undefined
  private at = 0
  private ahead: Promise<Uint8Array> | undefined
  private ended = false
  private given = 0
  /** Counts seeks: a read that began before one is not ours any more. */
  private turn = 0

  constructor(
    handle: FileHandle,
    name: string,
    stamp: FileStamp | undefined,
    chunkBytes: number,
    signal: AbortSignal | undefined,
  ) {
    this.handle = handle
    this.name = name
    this.stamp = stamp
    this.chunkBytes = chunkBytes
    this.signal = signal
  }

  bytesRead = (): number => this.given

  next = async (): Promise<Uint8Array | undefined> => {
    throwIfAborted(this.signal)
    if (this.ended) return undefined
    const reading = this.ahead ?? this.read()
    // Only what is no regular file can keep a read waiting.
    const chunk = await (this.stamp === undefined ? untilAborted(reading, this.signal) : reading)
    this.ahead = undefined
    if (chunk.length === 0) {
      this.ended = true
      return undefined
    }
    this.given += chunk.length
    this.ahead = this.read()
    this.ahead.catch(() => {})
    return chunk
  }

  seek = (byte: number): void => {
    this.ahead = undefined
    this.ended = false
    this.turn++
    this.at = byte
    this.given = byte
  }

  complete = async (): Promise<boolean> => {
    if (!this.ended || this.stamp === undefined) return false
    return this.given === this.stamp.size && (await this.handle.stat()).size === this.stamp.size
  }

  close = async (): Promise<void> => {
    const closing = this.handle.close()
    // A read of a pipe may never end, and closing waits for it.
    if (this.stamp === undefined) closing.catch(() => {})
    else await closing
  }

  private async read(): Promise<Uint8Array> {
    const buffer = Buffer.allocUnsafeSlow(this.chunkBytes)
    const from = this.stamp === undefined ? null : this.at
    const { turn } = this
    try {
      const { bytesRead } = await this.handle.read(buffer, 0, buffer.length, from)
      if (turn === this.turn) this.at += bytesRead
      return buffer.subarray(0, bytesRead)
    } catch (error) {
      throw cannotRead(this.name, error)
    }
  }
}

const consumed = new WeakSet<object>()

function openStream(
  stream: ByteStream,
  name: string,
  chunkBytes: number,
  signal: AbortSignal | undefined,
): OpenBytes {
  const fixed = Array.isArray(stream)
  if (!fixed && consumed.has(stream)) {
    throw new EtlError(
      'ETL_SOURCE_CONSUMED',
      `${name} was read already: a stream can be read once; give a path to read it again`,
    )
  }
  if (!fixed) consumed.add(stream)
  const readable = stream instanceof Readable ? stream : undefined
  const iterator = (
    Symbol.asyncIterator in stream ? stream[Symbol.asyncIterator]() : stream[Symbol.iterator]()
  ) as AsyncIterator<unknown> | Iterator<unknown>
  let rest: Uint8Array = Buffer.alloc(0)
  let given = 0
  let ended = false
  const next = async (): Promise<Uint8Array | undefined> => {
    while (rest.length === 0) {
      throwIfAborted(signal)
      if (ended) return undefined
      const result = await untilAborted(Promise.resolve(iterator.next()), signal).catch((error: unknown) => {
        if (error instanceof EtlError) throw error
        throw new EtlError('ETL_STREAM_FAILED', `${name} failed after ${given} bytes: ${messageOf(error)}`, {
          context: { file: name, byte: given },
          cause: error,
        })
      })
      if (result.done === true) ended = true
      else rest = bytesOf(result.value, name, readable !== undefined)
    }
    const chunk = rest.subarray(0, chunkBytes)
    rest = rest.subarray(chunk.length)
    given += chunk.length
    return chunk
  }
  return {
    stamp: undefined,
    bytesRead: () => given,
    next,
    seek: () => {
      throw new EtlError('ETL_SOURCE_NOT_RESUMABLE', `${name} cannot be sought`)
    },
    complete: async () => false,
    close: async () => {
      // Never waited for: a pending `next` of a foreign iterator may not settle.
      if (readable !== undefined) readable.destroy()
      else if (!ended) Promise.resolve(iterator.return?.()).catch(() => {})
    },
  }
}

/** A chunk as bytes of our own: whoever made it may fill its buffer anew. */
function bytesOf(chunk: unknown, name: string, ours: boolean): Uint8Array {
  if (typeof chunk === 'string') return Buffer.from(chunk)
  if (chunk instanceof Uint8Array) return ours ? chunk : Uint8Array.from(chunk)
  throw new EtlError(
    'ETL_STREAM_CHUNK',
    `${name}: expected chunks of bytes, got ${chunk === null ? 'null' : `a ${typeof chunk}`}; a stream of rows goes through fromReadable`,
    { context: { file: name } },
  )
}

/** The promise, unless the signal aborts first. */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  throwIfAborted(signal)
  let stop: (() => void) | undefined
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(abortError(signal))
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', stop as () => void)
  }
}
