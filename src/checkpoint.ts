/** Saved positions: the store's contract, and stores in a file and in memory. */
import { randomBytes } from 'node:crypto'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Json, Partition } from './contracts.js'
import { EtlError, messageOf } from './errors.js'
import type { LaneState } from './tracker.js'

/** A saved run: plain JSON. */
export interface Checkpoint {
  readonly version: 1
  readonly runId: string
  /** What is read, how it is changed and where it goes; a run that differs is refused. */
  readonly source: string
  readonly stages: readonly string[]
  readonly sink: string
  readonly partitions: readonly Partition[]
  readonly lanes: Readonly<Record<string, LaneState>>
  /** What the sink's `flush` returned. */
  readonly sinkState?: Json | undefined
  readonly finished: boolean
}

/** Where checkpoints are kept. `save` resolves when the checkpoint is durable. */
export interface CheckpointStore {
  /** What a message calls it. */
  readonly name: string
  /** Makes sure that nobody else works on it. Throws `ETL_CHECKPOINT_LOCKED`. */
  readonly lock?: () => Promise<void>
  readonly unlock?: () => Promise<void>
  readonly load: () => Promise<Checkpoint | undefined>
  readonly save: (checkpoint: Checkpoint) => Promise<void>
}

/** Keeps the checkpoint in memory: for tests, and for runs that are retried within one process. */
export function memoryCheckpoint(): CheckpointStore & { readonly text: () => string | undefined } {
  let text: string | undefined
  return {
    name: 'memory',
    load: async () => (text === undefined ? undefined : (JSON.parse(text) as Checkpoint)),
    save: async (checkpoint) => {
      text = JSON.stringify(checkpoint)
    },
    text: () => text,
  }
}

/**
 * Keeps the checkpoint in a file (mode 0600), written beside it, synced and renamed, so that a crash leaves the
 * old one or the new one. A `.lock` file beside it holds the process id; one left by a dead process is taken over.
 */
export function fileCheckpoint(path: string): CheckpointStore {
  const lockPath = `${path}.lock`
  return {
    name: path,
    lock: () => takeLock(lockPath),
    unlock: () => rm(lockPath, { force: true }),
    load: () => readCheckpoint(path),
    save: (checkpoint) => replaceFile(path, JSON.stringify(checkpoint)),
  }
}

export function newRunId(): string {
  return randomBytes(6).readUIntBE(0, 6).toString(36).padStart(10, '0')
}

async function readCheckpoint(path: string): Promise<Checkpoint | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new EtlError('ETL_CHECKPOINT_UNREADABLE', `checkpoint ${path}: ${messageOf(error)}`, {
      cause: error,
    })
  }
  const { checkpointSchema } = await import('./checkpoint-schema.js')
  let problem: string
  try {
    const parsed = checkpointSchema.safeParse(JSON.parse(text))
    if (parsed.success) return parsed.data as Checkpoint
    const issue = parsed.error.issues[0]
    problem = `${issue?.path.join('.') || 'the whole'}: ${issue?.message}`
  } catch (error) {
    problem = messageOf(error)
  }
  throw new EtlError(
    'ETL_CHECKPOINT_UNREADABLE',
    `checkpoint ${path} is damaged (${problem}): restore it, or delete it to start from the beginning`,
    { context: { file: path } },
  )
}

async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.tmp`
  try {
    const file = await open(temporary, 'w', 0o600)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    const folder = await open(dirname(path), 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  } catch (error) {
    throw new EtlError(
      'ETL_CHECKPOINT_UNWRITABLE',
      `checkpoint ${path} cannot be saved: ${messageOf(error)}`,
      {
        cause: error,
        context: { file: path },
      },
    )
  }
}

async function takeLock(path: string): Promise<void> {
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const file = await open(path, 'wx', 0o600)
      await file.writeFile(String(process.pid))
      await file.close()
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw new EtlError('ETL_CHECKPOINT_UNWRITABLE', `cannot lock ${path}: ${messageOf(error)}`, {
          cause: error,
        })
      }
    }
    const owner = Number(await readFile(path, 'utf8').catch(() => ''))
    if (isRunning(owner)) {
      throw new EtlError(
        'ETL_CHECKPOINT_LOCKED',
        `${path} belongs to process ${owner}, which is running: wait for it, or use another checkpoint`,
      )
    }
    await rm(path, { force: true })
  }
  throw new EtlError('ETL_CHECKPOINT_LOCKED', `${path} is being taken by another process`)
}

function isRunning(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
