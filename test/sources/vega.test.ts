import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Row, Source } from '../../src/contracts.js'
import { csvSource } from '../../src/sources/csv.js'
import { jsonSource } from '../../src/sources/json.js'

const folder = fileURLToPath(new URL('../../node_modules/vega-datasets/data', import.meta.url))
const files = readdirSync(folder)
const csvFiles = files.filter((name) => /\.[ct]sv$/.test(name))
/** The other documents of the package are graphs, maps and grids, not tables. */
const jsonFiles = files.filter(
  (name) => name.endsWith('.json') && readFileSync(join(folder, name), 'utf8').startsWith('['),
)

let query: (sql: string) => Promise<(string | null)[][]>

beforeAll(async () => {
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  query = async (sql) => (await connection.runAndReadAll(sql)).getRowsJson() as (string | null)[][]
})

async function readAll(source: Source): Promise<{ rows: Row[]; expected: number | undefined }> {
  const rows: Row[] = []
  let expected: number | undefined
  const expectRows = (count: number) => {
    expected = count
  }
  for await (const batch of source.read({ expect: expectRows })) rows.push(...batch.rows)
  return { rows, expected }
}

/** One digest per column, over its values in order. */
function digests(columns: string[], rows: readonly (readonly unknown[])[]): Record<string, string> {
  return Object.fromEntries(
    columns.map((name, index) => {
      const hash = createHash('sha256')
      for (const row of rows) hash.update(row[index] === null ? '\0n' : `\0v${String(row[index])}`)
      return [name, hash.digest('hex')]
    }),
  )
}

function cellsOf(columns: string[], rows: readonly Row[]): unknown[][] {
  return rows.map((row) => columns.map((name) => row[name] ?? null))
}

describe('the CSV tables of vega-datasets', () => {
  it.each(csvFiles)('%s has the rows and columns that DuckDB reads', async (name) => {
    const path = join(folder, name)
    const delimiter = name.endsWith('.tsv') ? '\\t' : ','
    const from = `read_csv('${path}', all_varchar = true, header = true, delim = '${delimiter}', quote = '"', escape = '"', auto_detect = true)`
    const columns = (await query(`DESCRIBE SELECT * FROM ${from}`)).map((row) => row[0] as string)
    const theirs = await query(`SELECT * FROM ${from}`)

    const text = await readAll(csvSource(path, { types: false }))
    expect(Object.keys(text.rows[0] as Row)).toEqual(columns)
    expect(text.rows.length).toBe(theirs.length)
    expect(text.expected).toBe(theirs.length)
    // DuckDB reads "" as null too; ours keeps it as an empty text.
    const ours = cellsOf(columns, text.rows).map((row) => row.map((cell) => (cell === '' ? null : cell)))
    expect(digests(columns, ours)).toEqual(digests(columns, theirs))

    const typed = await readAll(csvSource(path))
    const canonical = theirs.map((row, r) =>
      row.map((cell, c) => {
        const value = typed.rows[r]?.[columns[c] as string]
        if (typeof value === 'number') return Number(cell)
        return typeof value === 'boolean' ? cell?.toLowerCase() === 'true' : cell
      }),
    )
    const values = cellsOf(columns, typed.rows).map((row) => row.map((cell) => (cell === '' ? null : cell)))
    expect(digests(columns, values)).toEqual(digests(columns, canonical))
  })
})

describe('the JSON tables of vega-datasets', () => {
  it.each(jsonFiles)('%s has the rows that DuckDB reads', async (name) => {
    const path = join(folder, name)
    const from = `read_json('${path}', records = false, format = 'array', columns = {json: 'JSON'}, maximum_object_size = 100000000)`
    const theirs = (await query(`SELECT json::VARCHAR FROM ${from}`)).map(
      ([json]) => JSON.parse(json as string) as Row,
    )
    const { rows, expected } = await readAll(jsonSource(path))
    expect(rows.length).toBe(theirs.length)
    expect(expected).toBe(theirs.length)
    const columns = [...new Set(theirs.flatMap((row) => Object.keys(row)))].sort()
    expect([...new Set(rows.flatMap((row) => Object.keys(row)))].sort()).toEqual(columns)
    const asText = (all: Row[]) =>
      all.map((row) => columns.map((column) => JSON.stringify(row[column]) ?? null))
    expect(digests(columns, asText(rows))).toEqual(digests(columns, asText(theirs)))
  })
})
