/**
 * A file that is there whole or not at all: written beside its place as `<path>.partial`, synced, and renamed at
 * the end. With a checkpoint the partial file outlives a failure and is cut back to the saved length on resume.
 * With `append` the target itself grows.
 */
import type { BigIntStats } from 'node:fs'
import { constants, type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { Json, OpenContext } from '../../contracts.js'
import { EtlError } from '../../errors.js'
import { cannotWrite, changed, notAFile } from './file-errors.js'

const compress = promisify(gzip)
const TAIL_BYTES = 65_536
const NEWLINE = 0x0a

export interface OutputFileOptions {
  readonly path: string
  readonly append: boolean
  readonly gzip: boolean
}

export class OutputFile {
  /** Bytes that are in the file for good; a write that failed halfway does not count. */
  length = 0
  private readonly options: OutputFileOptions
  private handle: FileHandle | undefined
  /** Where the file finally is; a link is followed, so that renaming does not replace the link. */
  private target = ''
  /** What is written to: the partial file, or the target itself. */
  private working = ''
  private keep = false

  constructor(options: OutputFileOptions) {
    this.options = options
  }

  get isOpen(): boolean {
    return this.handle !== undefined
  }

  /** `savedLength` is what `flush` returned for the checkpoint that is resumed. */
  async open(context: OpenContext, savedLength: number | undefined): Promise<void> {
    const { path, append } = this.options
    this.keep = context.checkpointed
    this.length = 0
    try {
      const existing = await regular(path)
      this.target = existing === undefined ? path : await realpath(path)
      this.working = append ? this.target : `${this.target}.partial`
      if (savedLength !== undefined) await this.reopen(savedLength)
      else if (append) await this.openToAppend()
      else {
        await rm(this.working, { force: true })
        this.handle = await open(this.working, 'wx', Number(existing?.mode ?? 0o666n) & 0o777)
      }
    } catch (error) {
      await this.abandon()
      throw error instanceof EtlError ? error : cannotWrite(this.working || path, error)
    }
  }

  /** Resolves when the bytes are with the operating system; `flush` makes them durable. */
  async write(bytes: Uint8Array): Promise<void> {
    const handle = this.mustBeOpen()
    if (bytes.length === 0) return
    const data = this.options.gzip ? await compress(bytes) : bytes
    try {
      for (let at = 0; at < data.length; ) {
        // A file opened to append ignores the position.
        const { bytesWritten } = await handle.write(data, at, data.length - at, this.length + at)
        at += bytesWritten
      }
    } catch (error) {
      await handle.truncate(this.length).catch(() => {})
      throw cannotWrite(this.working, error)
    }
    this.length += data.length
  }

  /** Makes all that was written durable. */
  async flush(): Promise<void> {
    const handle = this.mustBeOpen()
    // A compressed file of no bytes is broken: nothing, compressed, is a few bytes.
    if (this.options.gzip && this.length === 0) await this.writeEmptyMember(handle)
    try {
      await handle.sync()
      const { size } = await handle.stat()
      if (size !== this.length && !this.options.append) {
        throw changed(
          this.working,
          `has ${size} bytes where this run wrote ${this.length}: somebody else writes it`,
        )
      }
    } catch (error) {
      throw error instanceof EtlError ? error : cannotWrite(this.working, error)
    }
  }

  /** Puts the file in its place, or, after a failure that cannot be resumed, takes the partial file away. */
  async close(ok: boolean): Promise<void> {
    const { handle, working, target } = this
    if (handle === undefined) return
    const inPlace = working === target
    try {
      if (ok) await this.flush()
      const own = await handle.stat({ bigint: true })
      this.handle = undefined
      await handle.close()
      if (inPlace) return
      if (ok) {
        const there = await stat(working, { bigint: true }).catch(() => undefined)
        if (there === undefined || there.ino !== own.ino) {
          throw changed(
            working,
            'was replaced or removed while this run wrote it: run one at a time per file',
          )
        }
        await rename(working, target)
        await syncFolder(target)
      } else if (!this.keep) await rm(working, { force: true })
    } catch (error) {
      await this.abandon()
      throw error instanceof EtlError ? error : cannotWrite(target, error)
    }
  }

  private mustBeOpen(): FileHandle {
    if (this.handle !== undefined) return this.handle
    throw new EtlError('ETL_SINK_CLOSED', `${this.options.path}: the sink is closed, or was never opened`)
  }

  /**
   * Goes on at the saved length. Where the partial file is gone and the target has just that length, the crash
   * came between renaming and the last save: the target is the file.
   */
  private async reopen(savedLength: number): Promise<void> {
    const wasRenamed = !this.options.append && (await regular(this.working)) === undefined
    if (wasRenamed) {
      const partial = this.working
      this.working = this.target
      const there = await regular(this.target)
      if (there === undefined || Number(there.size) !== savedLength) {
        throw changed(
          partial,
          `is gone, and with it the ${savedLength} bytes that the checkpoint counts on; restore it, or delete the checkpoint to start over`,
        )
      }
    }
    const handle = await open(this.working, this.options.append ? 'a+' : 'r+')
    this.handle = handle
    const { size } = await handle.stat()
    if (size < savedLength) {
      throw changed(
        this.working,
        `has ${size} bytes where the checkpoint counts on ${savedLength}; restore it, or delete the checkpoint to start over`,
      )
    }
    await handle.truncate(savedLength)
    this.length = savedLength
  }

  private async openToAppend(): Promise<void> {
    const handle = await open(this.target, constants.O_RDWR | constants.O_CREAT | constants.O_APPEND)
    this.handle = handle
    const { size } = await handle.stat()
    this.length = await endOfLastLine(handle, size)
    if (this.length < size) await handle.truncate(this.length)
  }

  private async writeEmptyMember(handle: FileHandle): Promise<void> {
    const empty = await compress(new Uint8Array(0))
    try {
      await handle.write(empty, 0, empty.length, 0)
    } catch (error) {
      throw cannotWrite(this.working, error)
    }
    this.length = empty.length
  }

  private async abandon(): Promise<void> {
    const { handle } = this
    this.handle = undefined
    await handle?.close().catch(() => {})
  }
}

/** The length that a sink saved, out of its state. */
export function savedLengthOf(saved: Json | undefined, path: string): number | undefined {
  if (saved === undefined || saved === null) return undefined
  const length = (saved as { length?: unknown }).length
  if (Number.isSafeInteger(length) && (length as number) >= 0) return length as number
  throw new EtlError('ETL_CHECKPOINT_UNREADABLE', `${path}: the checkpoint holds no length for it`)
}

/** Facts about a file; undefined where nothing is there. Throws for anything but a file. */
async function regular(path: string): Promise<BigIntStats | undefined> {
  let facts: BigIntStats
  try {
    facts = await stat(path, { bigint: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  if (facts.isDirectory()) throw notAFile(path, 'a directory')
  if (!facts.isFile()) throw notAFile(path, 'no regular file')
  return facts
}

/** What follows the last line break is the half of a line that a crash left. */
async function endOfLastLine(handle: FileHandle, size: number): Promise<number> {
  const block = Buffer.alloc(Math.min(TAIL_BYTES, size))
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - block.length)
    const { bytesRead } = await handle.read(block, 0, end - start, start)
    const at = block.subarray(0, bytesRead).lastIndexOf(NEWLINE)
    if (at >= 0) return start + at + 1
    end = start
  }
  return 0
}

/** Makes the renaming durable, where the system lets folders be synced. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(dirname(path), 'r').catch(() => undefined)
  await folder?.sync().catch(() => {})
  await folder?.close()
}
