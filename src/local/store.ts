/**
 * The datasets of a local Infino in its DuckDB file. Each dataset is a table `_infino.rows_<slot>` of id, version and
 * the document's exact text, with a view of the dataset's name that SQL reads. Whatever has been answered has
 * been committed, and a commit is on the disk.
 */
import { randomUUID } from 'node:crypto'
import type { DuckDBConnection } from '@duckdb/node-api'
import { type Database, type DatabaseOptions, openDatabase } from './duckdb.js'
import { type FieldKinds, identifier, join, viewSql } from './fields.js'
import { IdFilter } from './id-filter.js'
import { ApiError, malformed, unknownDataset } from './reply.js'
import { Slots } from './slots.js'
import { type Work, Writer } from './writer.js'

/** Rows travel to DuckDB as joined text: one string costs far less than thousands. JSON text never holds this character. */
const SEPARATOR = '\x1e'
const CHUNK_ROWS = 65_536
/** Ids read at a time; DuckDB keeps rows in groups of so many. */
const ID_ROWS = 122_880n
/** Rows of the running transaction have row ids beyond this, and no table has so many rows. */
const UNCOMMITTED = 2n ** 50n
/** Reads that run at once. Each holds a thread of the pool that the writer needs too. */
const READERS = 2
const WAITING_READERS = 256

const TABLES = `
  CREATE SCHEMA IF NOT EXISTS _infino;
  CREATE TABLE IF NOT EXISTS _infino.datasets (slot BIGINT, name VARCHAR, uuid VARCHAR, created_at VARCHAR);
  CREATE TABLE IF NOT EXISTS _infino.fields (slot BIGINT, place INTEGER, name VARCHAR, kinds INTEGER);
  CREATE TABLE IF NOT EXISTS _infino.jobs (run_id VARCHAR, place BIGINT, record VARCHAR);
`

export interface Dataset {
  readonly slot: number
  readonly name: string
  readonly uuid: string
  /** The table of its rows, ready for SQL. */
  readonly table: string
  fields: FieldKinds
  /** Undefined until a write with ids needs it. */
  ids: IdFilter | undefined
}

const NAME = /^[a-z0-9][a-z0-9._-]*$/
const RESERVED = new Set(
  'sql metadata sources source import promql fino user users role roles visualizations dashboards'.split(' '),
)

export class Store {
  readonly database: Database
  readonly #writer: Writer
  readonly #readers = new Slots(READERS, WAITING_READERS)
  readonly #datasets = new Map<string, Dataset>()
  #lastSlot = 0

  private constructor(database: Database) {
    this.database = database
    this.#writer = new Writer(database.writer, () => this.#load())
  }

  static async open(dir: string, options: DatabaseOptions): Promise<Store> {
    const database = await openDatabase(dir, options)
    try {
      await database.writer.run(TABLES)
      const store = new Store(database)
      await store.#load()
      return store
    } catch (error) {
      database.close()
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#writer.idle()
    await this.#readers.idle()
    this.database.close()
  }

  /** Runs in a transaction of its own or of a few; resolves once durable. `bytes` is the work's rough size. */
  write<T>(work: Work<T>, bytes = 0): Promise<T> {
    return this.#writer.run(work, bytes)
  }

  /** A read-only transaction. The signal ends it early. */
  async read<T>(work: Work<T>, signal?: AbortSignal): Promise<T> {
    const release = await this.#readers.take()
    const connection = await this.connect()
    const stop = () => connection.interrupt()
    try {
      if (signal?.aborted) throw new ApiError(408, 'timeout_exception', 'stopped before it began')
      signal?.addEventListener('abort', stop, { once: true })
      await connection.run('BEGIN TRANSACTION READ ONLY')
      return await work(connection)
    } finally {
      signal?.removeEventListener('abort', stop)
      connection.closeSync()
      release()
    }
  }

  /** A connection beside the writer's; the caller closes it. */
  connect(): Promise<DuckDBConnection> {
    return this.database.instance.connect()
  }

  names(): string[] {
    return [...this.#datasets.keys()].sort()
  }

  dataset(name: string): Dataset {
    const dataset = this.#datasets.get(name)
    if (dataset === undefined) throw unknownDataset(name)
    return dataset
  }

  /** The same, where the work began earlier: refuses a dataset that was deleted or made anew since. */
  current(dataset: Dataset): Dataset {
    const now = this.dataset(dataset.name)
    if (now.slot !== dataset.slot) throw unknownDataset(dataset.name)
    return now
  }

  /** False where it exists. */
  async create(name: string): Promise<boolean> {
    if (!NAME.test(name) || RESERVED.has(name) || name.length > 255)
      throw malformed(
        `dataset name ${JSON.stringify(name)}: expected at most 255 of a-z 0-9 . _ -, beginning with a letter or digit, and none of Infino's own routes`,
      )
    return await this.write(async (connection) => {
      if (this.#datasets.has(name)) return false
      // Never used twice, so that a slot tells a dataset from an earlier one of its name.
      const slot = Math.max(Date.now(), this.#lastSlot + 1)
      this.#lastSlot = slot
      const dataset: Dataset = {
        slot,
        name,
        uuid: randomUUID(),
        table: tableOf(slot),
        fields: new Map(),
        ids: new IdFilter(),
      }
      await connection.run('INSERT INTO _infino.datasets VALUES ($1, $2, $3, $4)', [
        BigInt(slot),
        name,
        dataset.uuid,
        new Date().toISOString(),
      ])
      await connection.run(
        `CREATE TABLE ${dataset.table} (id VARCHAR NOT NULL, version INTEGER NOT NULL, body VARCHAR NOT NULL)`,
      )
      await connection.run(viewSql(name, dataset.table, dataset.fields))
      this.#datasets.set(name, dataset)
      return true
    })
  }

  async drop(name: string): Promise<void> {
    await this.write(async (connection) => {
      const dataset = this.dataset(name)
      await connection.run(`DROP VIEW main.${identifier(name)}`)
      await connection.run(`DROP TABLE ${dataset.table}`)
      await connection.run('DELETE FROM _infino.fields WHERE slot = $1', [BigInt(dataset.slot)])
      await connection.run('DELETE FROM _infino.datasets WHERE slot = $1', [BigInt(dataset.slot)])
      this.#datasets.delete(name)
    })
  }

  /** Widens the dataset's columns to what new documents show. Part of the writer's transaction. */
  async widen(connection: DuckDBConnection, dataset: Dataset, seen: FieldKinds): Promise<void> {
    const before = viewSql(dataset.name, dataset.table, dataset.fields)
    if (!join(dataset.fields, seen)) return
    await connection.run('DELETE FROM _infino.fields WHERE slot = $1', [BigInt(dataset.slot)])
    const entries = [...dataset.fields].map(([name, kinds], place) => ({ place, name, kinds }))
    await connection.run(
      `INSERT INTO _infino.fields SELECT $1, e.place, e.name, e.kinds
       FROM (SELECT unnest(from_json($2, '[{"place":"INTEGER","name":"VARCHAR","kinds":"INTEGER"}]')) AS e)`,
      [BigInt(dataset.slot), JSON.stringify(entries)],
    )
    const after = viewSql(dataset.name, dataset.table, dataset.fields)
    if (after !== before) await connection.run(after)
  }

  /** Which of a dataset's ids are known; built from the table when first asked for. */
  async idsOf(connection: DuckDBConnection, dataset: Dataset): Promise<IdFilter> {
    if (dataset.ids !== undefined) return dataset.ids
    const ids = new IdFilter()
    const take = async (from: bigint, to: bigint) => {
      // As one JSON list, since a string costs far less on its way here than thousands of values.
      const found = await connection.runAndReadAll(
        `SELECT to_json(list(id))::VARCHAR FROM ${dataset.table} WHERE rowid >= ${from} AND rowid < ${to}`,
      )
      const list = found.getRows()[0]![0]
      if (typeof list === 'string') for (const id of JSON.parse(list) as string[]) ids.add(id)
    }
    const last = await connection.runAndReadAll(
      `SELECT coalesce(max(rowid), -1) FROM ${dataset.table} WHERE rowid < ${UNCOMMITTED}`,
    )
    const end = BigInt(last.getRows()[0]![0] as bigint)
    for (let at = 0n; at <= end; at += ID_ROWS) await take(at, at + ID_ROWS)
    await take(UNCOMMITTED, 2n ** 62n)
    dataset.ids = ids
    return ids
  }

  /** Adds rows at the end of a dataset's table, within the connection's transaction. */
  async append(
    connection: DuckDBConnection,
    dataset: Dataset,
    ids: readonly string[],
    versions: readonly number[] | undefined,
    bodies: readonly string[],
  ): Promise<void> {
    for (let at = 0; at < ids.length; at += CHUNK_ROWS) {
      const end = at + CHUNK_ROWS
      const some = ids.length <= CHUNK_ROWS ? ids : ids.slice(at, end)
      const listed = some.some((id) => id.includes(SEPARATOR))
      const idList = listed ? `from_json($1, '["VARCHAR"]')` : `string_split($1, '${SEPARATOR}')`
      const version = versions === undefined ? '1' : `unnest(string_split($3, '${SEPARATOR}'))::INTEGER`
      await connection.run(
        `INSERT INTO ${dataset.table} SELECT unnest(${idList}), ${version}, unnest(string_split($2, '${SEPARATOR}'))`,
        [
          listed ? JSON.stringify(some) : some.join(SEPARATOR),
          bodies.slice(at, end).join(SEPARATOR),
          ...(versions === undefined ? [] : [versions.slice(at, end).join(SEPARATOR)]),
        ],
      )
    }
  }

  /** What memory knows, taken from the tables. */
  async #load(): Promise<void> {
    const { writer } = this.database
    const fields = new Map<number, FieldKinds>()
    for (const [slot, name, kinds] of (
      await writer.runAndReadAll('SELECT slot, name, kinds FROM _infino.fields ORDER BY slot, place')
    ).getRows()) {
      const of = fields.get(Number(slot)) ?? new Map<string, number>()
      of.set(name as string, Number(kinds))
      fields.set(Number(slot), of)
    }
    const found = (await writer.runAndReadAll('SELECT slot, name, uuid FROM _infino.datasets')).getRows()
    const old = new Map(this.#datasets)
    this.#datasets.clear()
    for (const row of found) {
      const slot = Number(row[0])
      this.#lastSlot = Math.max(this.#lastSlot, slot)
      const name = row[1] as string
      const known = old.get(name)
      const kinds = fields.get(slot) ?? new Map<string, number>()
      if (known?.slot === slot) {
        // Kept as the same object: work that waits refers to it. Its filter may know ids too many, never too few.
        known.fields = kinds
        this.#datasets.set(name, known)
      } else
        this.#datasets.set(name, {
          slot,
          name,
          uuid: row[2] as string,
          table: tableOf(slot),
          fields: kinds,
          ids: undefined,
        })
    }
  }
}

function tableOf(slot: number): string {
  return `_infino.rows_${slot}`
}
