import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type LocalInfino, startLocalInfino } from '../../src/local/index.js'
import { bulk, call, indexLines, rowsOf, sql } from './client.js'

let dir: string
let infino: LocalInfino

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'local-'))
  infino = await startLocalInfino({ dir, queryTimeoutMs: 1500 })
  await call(infino, 'PUT', '/my-data.v1')
  await bulk(
    infino,
    'my-data.v1',
    indexLines([
      ['1', '{"name":"laptop","price":1200,"ratio":0.5,"ok":true,"tags":["a"],"none":null}'],
      ['2', '{"name":"mouse \\"x\\"","price":25,"ratio":2,"ok":false,"tags":{"k":1}}'],
    ]),
  )
})
afterAll(async () => {
  await infino.close()
  rmSync(dir, { recursive: true, force: true })
})

test('rows are typed values, by GET with a body as by POST', async () => {
  const query = 'SELECT _id, name, price, ratio, ok, tags, none FROM "my-data.v1" ORDER BY _id'
  const posted = await sql(infino, query)
  expect(posted.json).toMatchObject({ statement_type: 'Select', affected_rows: 0, error_message: null })
  expect(posted.json.columns[2]).toEqual({
    alias: null,
    name: { Column: { name: 'price', table_identifier: null } },
    data_type: 'Integer',
  })
  expect(posted.json.rows[0]).toEqual({
    values: {
      _id: { String: '1' },
      name: { String: 'laptop' },
      price: { Integer: 1200 },
      ratio: { Float: 0.5 },
      ok: { Boolean: true },
      tags: { String: '["a"]' },
      none: { Null: null },
    },
  })
  const got = await call(infino, 'GET', '/sql', { body: JSON.stringify({ query }) })
  expect(got.json.rows).toEqual(posted.json.rows)
})

test('joins, windows, aggregates and every kind of value come through', async () => {
  const rows = rowsOf(
    await sql(
      infino,
      `
    WITH t AS (SELECT *, row_number() OVER (ORDER BY price) AS place FROM "my-data.v1")
    SELECT count(*) AS n, sum(a.price) AS s, max(b.place) AS p, 'NaN'::DOUBLE AS nan, 1.10::DECIMAL(9,2) AS d,
      DATE '2024-02-29' AS day, [1,2] AS list, 'x'::BLOB AS b FROM t a JOIN t b USING (_id);`,
    ),
  )
  expect(rows).toEqual([
    { n: 2, s: 1225, p: 2, nan: 'NaN', d: 1.1, day: '2024-02-29', list: '[1, 2]', b: expect.any(String) },
  ])
  const twice = await sql(infino, 'SELECT 1 AS a, 2 AS a')
  expect(Object.keys(twice.json.rows[0].values)).toHaveLength(2)
  expect(rowsOf(await sql(infino, 'SHOW TABLES')).length).toBeGreaterThan(0)
  expect((await sql(infino, 'EXPLAIN SELECT 1')).status).toBe(200)
  const named = 'SELECT \'read_csv("x")\' AS glob, name AS query FROM "my-data.v1" WHERE name LIKE \'lap%\''
  expect(rowsOf(await sql(infino, named))).toEqual([{ glob: 'read_csv("x")', query: 'laptop' }])
})

test('a large answer arrives whole', async () => {
  const reply = await sql(infino, "SELECT i, 'row ' || i AS t FROM range(100000) r(i)")
  expect(reply.json.rows).toHaveLength(100_000)
  expect(reply.json.rows[99_999].values).toEqual({ i: { Integer: 99_999 }, t: { String: 'row 99999' } })
})

test.each([
  'INSERT INTO "my-data.v1" VALUES (1)',
  'DELETE FROM "my-data.v1"',
  "UPDATE _infino.datasets SET name = 'x'",
  'DROP VIEW "my-data.v1"',
  'CREATE TABLE t (a INT)',
  'CHECKPOINT',
  'SET threads = 1',
  "ATTACH 'x.db'",
  "COPY (SELECT 1) TO 'x.csv'",
  'SELECT 1; SELECT 2',
  'EXPLAIN ANALYZE DELETE FROM _infino.datasets',
  'PREPARE a AS SELECT 1',
  'BEGIN',
  'INSTALL httpfs',
  'LOAD httpfs',
  "EXPORT DATABASE 'x'",
  "PRAGMA memory_limit='1GB'",
  'SELEC 1',
  '',
  ' -- nothing',
  'SELECT $1',
  'VACUUM',
  'CALL force_checkpoint()',
])('SQL that is not one reading statement is refused: %s', async (query) => {
  const reply = await sql(infino, query)
  expect(reply.status).toBe(400)
  expect(reply.json.error.reason).toEqual(expect.stringMatching(/\S/))
  expect(reply.text).not.toContain('native callback')
  expect((await call(infino, 'GET', '/my-data.v1/_count')).json).toEqual({ count: 2 })
})

test('SQL reaches no file, not even those of the server', async () => {
  writeFileSync(join(dir, 'secret.csv'), 'a,b\n1,2\n')
  const before = readdirSync(dir).sort()
  const path = (name: string) => join(dir, name).replaceAll("'", "''")
  for (const query of [
    `SELECT * FROM read_csv('${path('secret.csv')}')`,
    `SELECT * FROM '${path('secret.csv')}'`,
    `SELECT * FROM read_text('${path('keys.json')}')`,
    `SELECT * FROM read_blob('${path('infino.duckdb')}')`,
    `SELECT * FROM read_blob('${path('infino.duckdb.wal')}')`,
    `SELECT content FROM SYSTEM.main."READ_blob"('${path('infino.duckdb')}')`,
    `EXPLAIN ANALYZE SELECT * FROM read_blob('${path('infino.duckdb')}')`,
    `WITH x AS (SELECT (SELECT max(size) FROM read_text/**/('${path('infino.duckdb')}')) AS s) SELECT * FROM x`,
    `SUMMARIZE SELECT * FROM read_blob('${path('infino.duckdb')}')`,
    `SELECT * FROM '${path('infino.duckdb')}'`,
    `SELECT * FROM read_json('${path('keys.json')}')`,
    `SELECT * FROM glob('${path('*')}')`,
    `SELECT * FROM parquet_scan('${path('x')}')`,
    `SELECT * FROM sniff_csv('${path('secret.csv')}')`,
    `SELECT * FROM query('COPY (SELECT 1) TO ''${path('out.csv')}''')`,
    `SELECT * FROM read_csv('/dev/stdin')`,
    "SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')",
  ]) {
    const reply = await sql(infino, query)
    expect([query, reply.status]).toEqual([
      query,
      expect.toSatisfy((status: number) => status === 400 || status === 404),
    ])
    expect(reply.text).not.toContain(infino.secretKey)
  }
  expect(readdirSync(dir).sort()).toEqual(before)
})

test('an unknown table is 404, a body without a query 400', async () => {
  expect((await sql(infino, 'SELECT * FROM nowhere')).json).toMatchObject({
    error: { type: 'index_not_found_exception' },
    status: 404,
  })
  for (const body of ['{}', '[]', 'null', '{"query":1}', '{', ''])
    expect((await call(infino, 'POST', '/sql', { body })).status).toBe(400)
})

test('a query that takes too long is stopped, and the server goes on', async () => {
  const reply = await sql(
    infino,
    'SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE (a.range * b.range) % 7 = 1',
  )
  expect(reply.status).toBe(408)
  expect(rowsOf(await sql(infino, 'SELECT 1 AS one'))).toEqual([{ one: 1 }])
})

test('a query for more memory than there is fails alone', async () => {
  const reply = await sql(infino, "SELECT list(repeat('x', 1000) || i) AS l FROM range(3000000) r(i)")
  expect([400, 408]).toContain(reply.status)
  expect(rowsOf(await sql(infino, 'SELECT 1 AS one'))).toEqual([{ one: 1 }])
})
