/** Public tables, loaded through the real upload: the dataset holds what DuckDB reads from the same file as text. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Source } from '../../src/contracts.js'
import { infinoClient } from '../../src/infino/client.js'
import type { InfinoClient } from '../../src/infino/types.js'
import { type LocalInfino, startLocalInfino } from '../../src/local/index.js'
import { from } from '../../src/pipeline.js'
import { infinoUploadSink } from '../../src/sinks/infino-upload.js'
import { csvSource } from '../../src/sources/csv.js'
import { jsonSource } from '../../src/sources/json.js'

const folder = fileURLToPath(new URL('../../node_modules/vega-datasets/data', import.meta.url))
const csvFiles = readdirSync(folder).filter((name) => /\.[ct]sv$/.test(name))
const jsonFiles = readdirSync(folder).filter(
  (name) => name.endsWith('.json') && readFileSync(join(folder, name), 'utf8').startsWith('['),
)

let dir: string
let local: LocalInfino
let client: InfinoClient
let query: (sql: string) => Promise<(string | null)[][]>

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'etl-vega-'))
  local = await startLocalInfino({ dir })
  client = infinoClient({ endpoint: local.url, accessKey: local.accessKey, secretKey: local.secretKey })
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  query = async (sql) => (await connection.runAndReadAll(sql)).getRowsJson() as (string | null)[][]
})

afterAll(async () => {
  await client.close()
  await local.close()
  rmSync(dir, { recursive: true, force: true })
})

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`

async function load(source: Source, dataset: string): Promise<number> {
  const report = await from(source).to(infinoUploadSink({ dataset, client })).run()
  expect(report.ledger.balanced).toBe(true)
  expect(report.completeness.kind).toBe('proven')
  return report.ledger.sink.written
}

/** How a column's text is compared: as the type that the dataset gave it. Empty text and null count as one. */
function canonical(type: string, text: string): string {
  if (/^(DOUBLE|U?BIGINT|U?HUGEINT|INTEGER)$/.test(type)) return `TRY_CAST(${text} AS DOUBLE)`
  if (type === 'BOOLEAN') return `TRY_CAST(${text} AS BOOLEAN)`
  if (type === 'JSON') return `CAST(json(${text}) AS VARCHAR)`
  return `NULLIF(CAST(${text} AS VARCHAR), '')`
}

const checksum = (value: string) => `CAST(sum(CAST(hash(${value}) AS HUGEINT)) AS VARCHAR)`

/** Count, and a checksum of every column, of the dataset and of the file. */
async function compare(dataset: string, columns: string[], file: string, textOf: (name: string) => string) {
  const types = (
    await client.sql(
      `SELECT ${columns.map((name, i) => `max(typeof(${quoted(name)})) AS t${i}`).join(', ')} FROM ${quoted(dataset)}`,
    )
  ).rows[0] as Record<string, string>
  const sums = (text: (name: string) => string) =>
    columns
      .map((name, i) => `${checksum(canonical(types[`t${i}`] as string, text(name)))} AS c${i}`)
      .join(', ')
  const ours = (
    await client.sql(`SELECT CAST(count(*) AS VARCHAR) AS n, ${sums(quoted)} FROM ${quoted(dataset)}`)
  ).rows
  const theirs = await query(`SELECT CAST(count(*) AS VARCHAR), ${sums(textOf)} FROM ${file}`)
  const named = (values: unknown[]) =>
    Object.fromEntries(['rows', ...columns].map((name, i) => [name, values[i]]))
  expect(named(Object.values(ours[0] as object))).toEqual(named(theirs[0] as unknown[]))
}

test.each(csvFiles)('%s, as text and typed', async (name) => {
  const path = join(folder, name)
  const delimiter = name.endsWith('.tsv') ? '\\t' : ','
  const file = `read_csv('${path}', all_varchar = true, header = true, delim = '${delimiter}', quote = '"', escape = '"', auto_detect = true)`
  const columns = (await query(`DESCRIBE SELECT * FROM ${file}`)).map((row) => row[0] as string)
  const base = name.replace(/\W/g, '-').toLowerCase()
  for (const [suffix, types] of [
    ['text', false],
    ['typed', undefined],
  ] as const) {
    const dataset = `${base}-${suffix}`
    const written = await load(csvSource(path, types === undefined ? {} : { types }), dataset)
    expect(await client.count(dataset)).toBe(written)
    await compare(dataset, columns, file, quoted)
  }
})

test.each(jsonFiles)('%s', async (name) => {
  const path = join(folder, name)
  const file = `read_json('${path}', records = false, format = 'array', columns = {json: 'JSON'}, maximum_object_size = 100000000)`
  const keys = await query(`SELECT DISTINCT unnest(json_keys(json)) AS k FROM ${file} ORDER BY k`)
  const columns = keys.map(([key]) => key as string)
  const dataset = name.replace(/\W/g, '-').toLowerCase()
  const written = await load(jsonSource(path), dataset)
  expect(await client.count(dataset)).toBe(written)
  await compare(
    dataset,
    columns,
    file,
    (column) => `(json ->> '/${column.replaceAll('~', '~0').replaceAll('/', '~1').replaceAll("'", "''")}')`,
  )
})
