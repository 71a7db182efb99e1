/** Carries out the actions of a bulk request within the writer's transaction, and answers for each. */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Action, Bulk } from './bulk.js'
import { type ItemError, refusal } from './documents.js'
import { mergeObjects } from './json-text.js'
import type { Dataset, Store } from './store.js'

export type Outcome = 'created' | 'updated' | 'deleted' | 'not_found' | 'noop'

/** What became of the actions, one place per item; an error stands in `refused`. */
export interface Applied {
  readonly outcomes: Outcome[]
  /** Undefined where every version is 1. */
  readonly versions: number[] | undefined
  readonly refused: ReadonlyMap<number, ItemError>
}

/** A row that may exist already, as the actions of the request leave it. */
interface Row {
  /** It stands in the table. */
  readonly stored: boolean
  version: number
  /** Undefined where there is no row, or where its text was not needed. */
  body: string | undefined
  exists: boolean
  touched: boolean
}

export async function applyBulk(
  store: Store,
  connection: DuckDBConnection,
  begun: Dataset,
  bulk: Bulk,
): Promise<Applied> {
  const dataset = store.current(begun)
  await store.widen(connection, dataset, bulk.fields)
  const known = await store.idsOf(connection, dataset)
  const maybe = new Set<string>()
  for (let i = 0; i < bulk.ids.length; i += 1) {
    if (bulk.refused.has(i)) continue
    const id = bulk.ids[i]!
    const action = bulk.actions[i]
    // An update or delete of an unknown id adds it to the filter, which costs a needless look at most.
    if (known.add(id) || action === 'update' || action === 'delete') maybe.add(id)
  }
  if (maybe.size === 0) return appendAll(store, connection, dataset, bulk)
  const rows = await lookUp(connection, dataset, maybe, bulk.actions.includes('update'))
  return await applyEach(store, connection, dataset, bulk, rows)
}

/** Only new ids, each once: the rows go straight to the end of the table. */
async function appendAll(
  store: Store,
  connection: DuckDBConnection,
  dataset: Dataset,
  bulk: Bulk,
): Promise<Applied> {
  const { refused } = bulk
  const keep = <T>(list: T[]): T[] => (refused.size === 0 ? list : list.filter((_, i) => !refused.has(i)))
  await store.append(connection, dataset, keep(bulk.ids), undefined, keep(bulk.bodies))
  return { outcomes: new Array<Outcome>(bulk.ids.length).fill('created'), versions: undefined, refused }
}

async function lookUp(
  connection: DuckDBConnection,
  dataset: Dataset,
  ids: ReadonlySet<string>,
  bodies: boolean,
): Promise<Map<string, Row>> {
  const rows = new Map<string, Row>()
  for (const id of ids)
    rows.set(id, { stored: false, version: 0, body: undefined, exists: false, touched: false })
  const found = await connection.runAndReadAll(
    `SELECT id, version${bodies ? ', body' : ''} FROM ${dataset.table}
     WHERE id IN (SELECT unnest(from_json($1, '["VARCHAR"]')))`,
    [JSON.stringify([...ids])],
  )
  for (const [id, version, body] of found.getRows())
    rows.set(id as string, {
      stored: true,
      version: Number(version),
      body: body as string | undefined,
      exists: true,
      touched: false,
    })
  return rows
}

async function applyEach(
  store: Store,
  connection: DuckDBConnection,
  dataset: Dataset,
  bulk: Bulk,
  rows: Map<string, Row>,
): Promise<Applied> {
  const count = bulk.ids.length
  const outcomes: Outcome[] = new Array<Outcome>(count).fill('created')
  const versions = new Array<number>(count).fill(1)
  const refused = new Map(bulk.refused)
  const ids: string[] = []
  const bodies: string[] = []
  for (let i = 0; i < count; i += 1) {
    if (refused.has(i)) continue
    const id = bulk.ids[i]!
    const row = rows.get(id)
    if (row === undefined) {
      ids.push(id)
      bodies.push(bulk.bodies[i]!)
      continue
    }
    const outcome = step(row, bulk.actions[i]!, bulk.bodies[i]!, bulk.upserts.get(i), id)
    if (typeof outcome === 'string') outcomes[i] = outcome
    else refused.set(i, outcome)
    versions[i] = row.version
  }
  const appendedVersions = new Array<number>(ids.length).fill(1)
  const replaced: string[] = []
  for (const [id, row] of rows) {
    if (!row.touched) continue
    if (row.stored) replaced.push(id)
    if (!row.exists) continue
    ids.push(id)
    bodies.push(row.body!)
    appendedVersions.push(row.version)
  }
  if (replaced.length > 0)
    await connection.run(
      `DELETE FROM ${dataset.table} WHERE id IN (SELECT unnest(from_json($1, '["VARCHAR"]')))`,
      [JSON.stringify(replaced)],
    )
  await store.append(connection, dataset, ids, appendedVersions, bodies)
  return { outcomes, versions, refused }
}

/** One action on one row. */
function step(
  row: Row,
  action: Action,
  body: string,
  upsert: string | undefined,
  id: string,
): Outcome | ItemError {
  const existed = row.exists
  if (action === 'delete') {
    if (!existed) return 'not_found'
    row.exists = false
    row.version += 1
    row.touched = true
    return 'deleted'
  }
  if (action === 'create' && existed)
    return refusal(
      'version_conflict_engine_exception',
      `[${id}]: a row with this _id exists (current version ${row.version})`,
      409,
    )
  if (action === 'update') {
    if (!existed && upsert === undefined)
      return refusal('document_missing_exception', `[${id}]: there is no row to update`, 404)
    row.body = existed ? mergeObjects(row.body!, body) : upsert
  } else row.body = body
  row.exists = true
  row.version += 1
  row.touched = true
  return existed ? 'updated' : 'created'
}

/** The answer to a bulk request. */
export function bulkAnswer(dataset: string, bulk: Bulk, applied: Applied, tookMs: number): string {
  const index = JSON.stringify(dataset)
  const items: string[] = []
  for (let i = 0; i < bulk.ids.length; i += 1) {
    const action = bulk.actions[i]!
    const id = JSON.stringify(bulk.ids[i])
    const error = applied.refused.get(i)
    if (error !== undefined) {
      const { status, type, reason } = error
      const whose = bulk.ids[i] === '' ? 'null' : id
      items.push(
        `{"${action}":{"_index":${index},"_id":${whose},"status":${status},"error":${JSON.stringify({ type, reason })}}}`,
      )
      continue
    }
    const outcome = applied.outcomes[i]!
    const status = outcome === 'created' ? 201 : outcome === 'not_found' ? 404 : 200
    const version = applied.versions?.[i] ?? 1
    items.push(
      `{"${action}":{"_index":${index},"_id":${id},"_version":${version},"result":"${outcome}","status":${status}}}`,
    )
  }
  return `{"took":${tookMs},"errors":${applied.refused.size > 0},"items":[${items.join(',')}]}`
}
