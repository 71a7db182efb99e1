/** DuckDB, loaded late, and opened so that SQL from outside reaches nothing but the datasets. */

import { realpathSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { EtlError, messageOf } from '../errors.js'

export type DuckDb = typeof import('@duckdb/node-api')

const FILE = 'infino.duckdb'
/** Files open in this process: DuckDB's own lock only keeps other processes out. */
const open = new Set<string>()

export async function loadDuckDb(
  load: () => Promise<DuckDb> = () => import('@duckdb/node-api'),
): Promise<DuckDb> {
  try {
    return await load()
  } catch (cause) {
    throw new EtlError(
      'ETL_DEPENDENCY_MISSING',
      'the local Infino needs the package @duckdb/node-api, which could not be loaded; install it with: npm install @duckdb/node-api',
      { cause },
    )
  }
}

export interface Database {
  readonly duckdb: DuckDb
  readonly instance: DuckDBInstance
  readonly writer: DuckDBConnection
  readonly path: string
  close(): void
}

export interface DatabaseOptions {
  /** What DuckDB may use for its buffers, in bytes. */
  readonly memoryBytes: number
  /** Default: the cores of the machine, at most 4. */
  readonly threads?: number | undefined
}

/** Opens the database of a directory. `ETL_LOCAL_IN_USE` where another server has it. */
export async function openDatabase(dir: string, options: DatabaseOptions): Promise<Database> {
  const duckdb = await loadDuckDb()
  const path = join(realpathSync(dir), FILE)
  if (open.has(path)) throw inUse(dir)
  open.add(path)
  let instance: DuckDBInstance | undefined
  try {
    instance = await duckdb.DuckDBInstance.create(path, {
      threads: String(options.threads ?? Math.min(4, availableParallelism())),
      memory_limit: `${Math.ceil(options.memoryBytes / 1_000_000)}MB`,
      // Few, large checkpoints: each one holds up the writers.
      checkpoint_threshold: '256MB',
      enable_external_access: 'false',
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
    })
    const writer = await instance.connect()
    await writer.run('SET lock_configuration = true')
    const opened = instance
    let closed = false
    return {
      duckdb,
      instance,
      writer,
      path,
      close() {
        if (closed) return
        closed = true
        writer.closeSync()
        opened.closeSync()
        open.delete(path)
      },
    }
  } catch (error) {
    instance?.closeSync()
    open.delete(path)
    if (/set lock|conflicting lock/i.test(messageOf(error))) throw inUse(dir, error)
    throw new EtlError('ETL_LOCAL_OPEN', `cannot open ${path}: ${messageOf(error)}`, {
      context: { file: path },
      cause: error,
    })
  }
}

function inUse(dir: string, cause?: unknown): EtlError {
  return new EtlError(
    'ETL_LOCAL_IN_USE',
    `another local Infino is using ${dir}: stop it, talk to it over HTTP, or choose another directory`,
    { context: { file: dir }, cause },
  )
}
