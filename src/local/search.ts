/** `POST /{dataset}/querydsl`: hits and aggregations, and deleting by query. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { condition, type Field, isNumeric, object, only, Statement, valuesOf } from './conditions.js'
import { MAX_DEPTH, members, objectText } from './json-text.js'
import { malformed } from './reply.js'
import type { Dataset, Store } from './store.js'

const DEFAULT_SIZE = 10
/** As Elasticsearch's default: `from` and `size` together. */
const MAX_WINDOW = 10_000

const KEYS = new Set(
  'query size from sort _source aggs aggregations track_total_hits track_scores version timeout explain'.split(
    ' ',
  ),
)

/** The answer as text: documents stand in it exactly as they were stored. */
export async function search(
  store: Store,
  dataset: Dataset,
  request: unknown,
  signal: AbortSignal,
): Promise<string> {
  const begun = performance.now()
  const body = object(request, 'the request')
  for (const key of Object.keys(body))
    if (!KEYS.has(key)) throw malformed(`${JSON.stringify(key)} is not supported in a query`)
  const from = whole(body.from, 'from', 0)
  const size = whole(body.size, 'size', DEFAULT_SIZE)
  if (from + size > MAX_WINDOW)
    throw malformed(`from + size: expected at most ${MAX_WINDOW}, got ${from + size}`)
  const nowMs = Date.now()
  const where = (statement: Statement) => condition(statement, body.query ?? { match_all: {} })
  const project = sourceFilter(body._source)
  return await store.read(async (connection) => {
    const counting = new Statement(dataset.fields, nowMs)
    const total = await rowsOf(
      connection,
      `SELECT count(*) FROM ${dataset.table} WHERE ${where(counting)}`,
      counting,
    )
    const hits: string[] = []
    const sorted = body.sort !== undefined
    if (size > 0) {
      const finding = new Statement(dataset.fields, nowMs)
      const found = await rowsOf(
        connection,
        `SELECT id, body FROM ${dataset.table} WHERE ${where(finding)}${orderBy(finding, body.sort)} LIMIT ${size} OFFSET ${from}`,
        finding,
      )
      const index = JSON.stringify(dataset.name)
      for (const [id, text] of found) {
        const source = project(text as string)
        hits.push(
          `{"_index":${index},"_id":${JSON.stringify(id)},"_score":${sorted ? 'null' : '1.0'}${source === undefined ? '' : `,"_source":${source}`}}`,
        )
      }
    }
    const aggregations = await aggregate(connection, dataset, body.aggs ?? body.aggregations, nowMs, where)
    const took = Math.round(performance.now() - begun)
    const best = hits.length > 0 && !sorted ? '1.0' : 'null'
    return `{"took":${took},"timed_out":false,"_shards":{"total":1,"successful":1,"skipped":0,"failed":0},"hits":{"total":{"value":${total[0]![0]},"relation":"eq"},"max_score":${best},"hits":[${hits.join(',')}]}${aggregations}}`
  }, signal)
}

/** Deletes what the query finds and gives the count. Part of the writer's transaction. */
export async function deleteByQuery(
  connection: DuckDBConnection,
  dataset: Dataset,
  request: unknown,
): Promise<number> {
  const [key, query] = only(request, 'the request')
  if (key !== 'query') throw malformed('expected {"query":{...}}')
  const statement = new Statement(dataset.fields, Date.now())
  const result = await connection.run(
    ...statement.finish(`DELETE FROM ${dataset.table} WHERE ${condition(statement, query)}`),
  )
  return result.rowsChanged
}

async function rowsOf(connection: DuckDBConnection, sql: string, statement: Statement): Promise<unknown[][]> {
  return (await connection.runAndReadAll(...statement.finish(sql))).getRows()
}

function whole(value: unknown, name: string, fallback: number): number {
  if (value === undefined) return fallback
  if (!Number.isInteger(value) || Number(value) < 0)
    throw malformed(`${name}: expected a whole number from 0`)
  return Number(value)
}

function orderBy(statement: Statement, sort: unknown): string {
  const keys: string[] = []
  for (const one of sort === undefined ? [] : Array.isArray(sort) ? sort : [sort]) {
    const [name, how] = typeof one === 'string' ? [one, 'asc'] : only(one, 'sort')
    if (name === '_score' || name === '_doc') continue
    const direction = String(
      typeof how === 'string' ? how : (object(how, 'sort').order ?? 'asc'),
    ).toLowerCase()
    if (direction !== 'asc' && direction !== 'desc') throw malformed('sort: expected asc or desc')
    keys.push(`${typedText(statement.field(name))} ${direction} NULLS LAST`)
  }
  return keys.length === 0 ? '' : ` ORDER BY ${keys.join(', ')}, rowid`
}

function typedText({ text, type }: Field): string {
  return isNumeric(type) || type === 'BOOLEAN' ? `TRY_CAST(${text} AS ${type})` : text
}

const METRICS: Readonly<Record<string, (value: string) => string>> = {
  avg: (v) => `avg(TRY_CAST(${v} AS DOUBLE))`,
  sum: (v) => `coalesce(sum(TRY_CAST(${v} AS DOUBLE)), 0)`,
  min: (v) => `min(TRY_CAST(${v} AS DOUBLE))`,
  max: (v) => `max(TRY_CAST(${v} AS DOUBLE))`,
  value_count: (v) => `count(${v})`,
  cardinality: (v) => `count(DISTINCT ${v})`,
}

async function aggregate(
  connection: DuckDBConnection,
  dataset: Dataset,
  aggs: unknown,
  nowMs: number,
  where: (statement: Statement) => string,
): Promise<string> {
  if (aggs === undefined) return ''
  const answers: [string, string][] = []
  for (const [name, definition] of Object.entries(object(aggs, 'aggs'))) {
    const [kind, options] = only(definition, `aggs.${name}`)
    const settings = object(options, `aggs.${name}`)
    if (typeof settings.field !== 'string') throw malformed(`aggs.${name}: expected a field`)
    const statement = new Statement(dataset.fields, nowMs)
    const field = statement.field(settings.field)
    const values = `(SELECT unnest(${valuesOf(field)}) AS v FROM ${dataset.table} WHERE ${where(statement)})`
    const metric = METRICS[kind]
    if (metric !== undefined) {
      const rows = await rowsOf(connection, `SELECT ${metric('v')} FROM ${values}`, statement)
      const value = rows[0]![0]
      answers.push([name, `{"value":${value === null ? 'null' : String(value)}}`])
    } else if (kind === 'terms')
      answers.push([name, await buckets(connection, statement, field, values, settings)])
    else
      throw malformed(
        `aggregation ${JSON.stringify(kind)} is not supported: expected terms or ${Object.keys(METRICS).join(', ')}`,
      )
  }
  return `,"aggregations":${objectText(answers)}`
}

async function buckets(
  connection: DuckDBConnection,
  statement: Statement,
  field: Field,
  values: string,
  settings: Record<string, unknown>,
): Promise<string> {
  const size = whole(settings.size, 'terms: size', DEFAULT_SIZE)
  if (size > MAX_WINDOW) throw malformed(`terms: size: expected at most ${MAX_WINDOW}`)
  const key = isNumeric(field.type) || field.type === 'BOOLEAN' ? `TRY_CAST(v AS ${field.type})` : 'v'
  const order: string[] = []
  const wanted = settings.order ?? []
  for (const one of Array.isArray(wanted) ? wanted : [wanted]) {
    const [by, direction] = only(one, 'terms: order')
    if ((by !== '_count' && by !== '_key') || (direction !== 'asc' && direction !== 'desc'))
      throw malformed('terms: order: expected _count or _key with asc or desc')
    order.push(`${by === '_count' ? 'n' : 'k'} ${direction}`)
  }
  if (order.length === 0) order.push('n desc')
  const rows = await rowsOf(
    connection,
    `SELECT k, n, sum(n) OVER () FROM (SELECT ${key} AS k, count(*) AS n FROM ${values} WHERE v IS NOT NULL GROUP BY 1)
     ORDER BY ${order.join(', ')}, k LIMIT ${size}`,
    statement,
  )
  let shown = 0n
  const texts = rows.map(([k, n]) => {
    shown += BigInt(n as bigint)
    const name =
      field.type === 'BOOLEAN'
        ? `${k === true ? 1 : 0},"key_as_string":"${k === true}"`
        : isNumeric(field.type)
          ? String(k)
          : JSON.stringify(k)
    return `{"key":${name},"doc_count":${n}}`
  })
  const all = rows.length === 0 ? 0n : BigInt(rows[0]![2] as bigint)
  return `{"doc_count_error_upper_bound":0,"sum_other_doc_count":${all - shown},"buckets":[${texts.join(',')}]}`
}

/** What of a document is shown, every value with its exact text; undefined where nothing is. */
function sourceFilter(wanted: unknown): (text: string) => string | undefined {
  if (wanted === undefined || wanted === true) return (text) => text
  if (wanted === false) return () => undefined
  const plain =
    typeof wanted === 'string' || Array.isArray(wanted) ? { includes: wanted } : object(wanted, '_source')
  const includes = patterns(plain.includes ?? plain.include)
  const excludes = patterns(plain.excludes ?? plain.exclude)
  return (text) => filtered(text, '', includes, excludes) ?? '{}'
}

function filtered(
  text: string,
  prefix: string,
  includes: readonly RegExp[],
  excludes: readonly RegExp[],
  depth = 0,
): string | undefined {
  const kept: [string, string][] = []
  for (const [key, value] of members(text)) {
    const path = `${prefix}${key}`
    if (excludes.some((pattern) => pattern.test(path))) continue
    const whole = includes.length === 0 || includes.some((pattern) => pattern.test(path))
    if (value.startsWith('{') && (!whole || excludes.length > 0) && depth < MAX_DEPTH) {
      const inner = filtered(value, `${path}.`, whole ? [] : includes, excludes, depth + 1)
      if (inner !== undefined) kept.push([key, inner])
    } else if (whole) kept.push([key, value])
  }
  return kept.length === 0 && prefix !== '' ? undefined : objectText(kept)
}

function patterns(wanted: unknown): RegExp[] {
  return (wanted === undefined ? [] : Array.isArray(wanted) ? wanted : [wanted]).map((pattern) => {
    const parts = String(pattern)
      .split('*')
      .map((part) => part.replace(/[\\^$.+?()[\]{}|]/g, '\\$&'))
    return new RegExp(`^${parts.join('[^]*')}$`)
  })
}
