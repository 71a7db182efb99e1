import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type LocalInfino, startLocalInfino } from '../../src/local/index.js'
import { bulk, call, cellTexts, indexLines, rowsOf, sql } from './client.js'

let dir: string
let infino: LocalInfino

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'local-'))
  infino = await startLocalInfino({ dir })
})
afterAll(async () => {
  await infino.close()
  rmSync(dir, { recursive: true, force: true })
})

test('answers a ping with its version', async () => {
  expect((await call(infino, 'GET', '/')).json).toMatchObject({ version: expect.any(String) })
})

test('keeps its keys in a file that only the owner may read', () => {
  const path = join(dir, 'keys.json')
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({
    accessKey: infino.accessKey,
    secretKey: infino.secretKey,
  })
})

test('a dataset is created once, listed, described and deleted', async () => {
  const created = await call(infino, 'PUT', '/life.cycle_1-a')
  expect(created.json).toMatchObject({ acknowledged: true, index: 'life.cycle_1-a' })
  const again = await call(infino, 'PUT', '/life.cycle_1-a')
  expect(again.status).toBe(409)
  expect(again.json).toMatchObject({ error: { type: 'resource_already_exists_exception' }, status: 409 })
  const described = await call(infino, 'GET', '/life.cycle_1-a/metadata')
  expect(described.json).toMatchObject({ index: 'life.cycle_1-a', status: 'open', 'docs.count': '0' })
  const list = await call(infino, 'GET', '/metadata')
  expect(list.json.map((one: { index: string }) => one.index)).toContain('life.cycle_1-a')
  expect((await call(infino, 'DELETE', '/life.cycle_1-a')).json).toEqual({ acknowledged: true })
  for (const [method, path] of [
    ['DELETE', '/life.cycle_1-a'],
    ['GET', '/life.cycle_1-a/metadata'],
    ['GET', '/life.cycle_1-a/_schema'],
    ['GET', '/life.cycle_1-a/_count'],
    ['POST', '/life.cycle_1-a/querydsl'],
  ] as const) {
    const gone = await call(infino, method, path)
    expect([path, gone.status, gone.json.error.type]).toEqual([path, 404, 'index_not_found_exception'])
  }
})

test('names that are not allowed are refused, also such as would be routes', async () => {
  for (const name of ['Upper', '_x', '.x', 'a%20b', 'a%22b', 'x'.repeat(256), 'a%00']) {
    const reply = await call(infino, 'PUT', `/${name}`)
    expect([name, reply.status]).toEqual([name, 400])
  }
})

test('a deleted dataset that is made anew is empty', async () => {
  await call(infino, 'PUT', '/anew')
  await bulk(infino, 'anew', indexLines([['1', { a: 1 }]]))
  await call(infino, 'DELETE', '/anew')
  await call(infino, 'PUT', '/anew')
  expect((await call(infino, 'GET', '/anew/_count')).json).toEqual({ count: 0 })
  expect((await call(infino, 'GET', '/anew/_schema')).json).toEqual({})
  expect((await bulk(infino, 'anew', indexLines([['1', { a: 1 }]]))).json.items[0].index.result).toBe(
    'created',
  )
})

test('documents come back byte for byte', async () => {
  await call(infino, 'PUT', '/exact')
  const documents = [
    '{"z":1,"a":12.50,"big":123456789012345678901234567890,"e":1e5,"n":-0.0}',
    '{ "spaced" : [ 1 , 2 ] , "t" : "\\u00e9\\/é 😀 \\u0000" }',
    '{"__proto__":{"x":1},"constructor":null,"":0}',
    '{"dup":1,"dup":2}',
  ]
  await bulk(infino, 'exact', indexLines(documents.map((text, i) => [`d/${i} ü`, text])))
  for (const [i, text] of documents.entries()) {
    const reply = await call(infino, 'GET', `/exact/doc/${encodeURIComponent(`d/${i} ü`)}`)
    expect(reply.text).toContain(`"_source":${text}}`)
    expect(reply.json).toMatchObject({ _index: 'exact', _id: `d/${i} ü`, _version: 1, found: true })
  }
  const found = await call(infino, 'POST', '/exact/querydsl', { body: '{"size":10}' })
  for (const text of documents) expect(found.text).toContain(`"_source":${text}`)
  expect((await call(infino, 'GET', '/exact/doc/none')).status).toBe(404)
})

test('columns widen as documents come, and every integer keeps its digits', async () => {
  await call(infino, 'PUT', '/wide')
  const typeOf = async (column: string) =>
    rowsOf(await sql(infino, `SELECT typeof("${column}") AS t FROM wide LIMIT 1`))[0]!.t
  await bulk(
    infino,
    'wide',
    indexLines([['1', '{"n":1,"b":true,"i":9007199254740993,"j":[1],"d":"2024-01-01"}']]),
  )
  expect(await Promise.all(['n', 'b', 'i', 'j', 'd'].map(typeOf))).toEqual([
    'BIGINT',
    'BOOLEAN',
    'BIGINT',
    'JSON',
    'VARCHAR',
  ])
  expect(cellTexts(await sql(infino, 'SELECT i FROM wide'))).toEqual(['9007199254740993'])
  await bulk(infino, 'wide', indexLines([['2', '{"n":2.5,"i":18446744073709551615,"late":"x"}']]))
  expect(await Promise.all(['n', 'i', 'late'].map(typeOf))).toEqual(['DOUBLE', 'HUGEINT', 'VARCHAR'])
  expect(cellTexts(await sql(infino, 'SELECT i FROM wide ORDER BY _id'))).toEqual([
    '9007199254740993',
    '18446744073709551615',
  ])
  await bulk(
    infino,
    'wide',
    indexLines([['3', '{"n":"text","i":1234567890123456789012345678901234567890,"j":1}']]),
  )
  expect(await Promise.all(['n', 'i', 'j'].map(typeOf))).toEqual(['VARCHAR', 'VARCHAR', 'VARCHAR'])
  expect(cellTexts(await sql(infino, "SELECT i FROM wide WHERE _id = '3'"))).toEqual([
    '"1234567890123456789012345678901234567890"',
  ])
  expect(rowsOf(await sql(infino, 'SELECT n, late FROM wide ORDER BY _id'))).toEqual([
    { n: '1', late: null },
    { n: '2.5', late: 'x' },
    { n: 'text', late: null },
  ])
  expect((await call(infino, 'GET', '/wide/_schema')).json).toMatchObject({
    d: { source: 'Logs', infino_type: 'ISO8601Date' },
    b: { infino_type: 'Boolean' },
    n: { infino_type: 'String' },
  })
})

test('a number such as 1e300 is a DOUBLE, not text', async () => {
  await call(infino, 'PUT', '/doubles')
  await bulk(
    infino,
    'doubles',
    indexLines([
      ['1', '{"x":1e300}'],
      ['2', '{"x":1.5}'],
    ]),
  )
  expect(rowsOf(await sql(infino, 'SELECT typeof(x) AS t, max(x) AS m FROM doubles GROUP BY 1'))).toEqual([
    { t: 'DOUBLE', m: 1e300 },
  ])
})

test('field names of every kind are columns, and none is SQL', async () => {
  await call(infino, 'PUT', '/names')
  const row = JSON.stringify({
    name: 1,
    NAME: 2,
    Name: 3,
    name_2: 4,
    '': 5,
    'a.b': 6,
    'a"b': 7,
    "a'b": 8,
    _id: 9,
    'x"; DROP TABLE y; --': 10,
    'a/b~c': 11,
    'new\nline': 12,
    '😀': 13,
    select: 14,
    'n\0ul': 15,
  }).replace('{', '{"__proto__":0,')
  const reply = await bulk(infino, 'names', indexLines([['the id', row]]))
  expect(reply.json.errors).toBe(false)
  expect(rowsOf(await sql(infino, 'SELECT * FROM names'))).toEqual([
    Object.fromEntries([
      ['_id', 'the id'],
      ['__proto__', 0],
      ['name', 1],
      ['NAME_2', 2],
      ['Name_3', 3],
      ['name_2_2', 4],
      ['_empty', 5],
      ['a.b', 6],
      ['a"b', 7],
      ["a'b", 8],
      ['_id_2', 9],
      ['x"; DROP TABLE y; --', 10],
      ['a/b~c', 11],
      ['new\nline', 12],
      ['😀', 13],
      ['select', 14],
    ]),
  ])
  const schema = (await call(infino, 'GET', '/names/_schema')).json
  expect(schema.NAME).toEqual({ source: 'Logs', infino_type: 'Integer', column: 'NAME_2' })
  expect(schema.name).toEqual({ source: 'Logs', infino_type: 'Integer' })
})

test('more fields than columns stay in the documents', async () => {
  await call(infino, 'PUT', '/many')
  const row = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`f${i}`, i]))
  expect((await bulk(infino, 'many', indexLines([['1', row]]))).json.errors).toBe(false)
  expect((await call(infino, 'GET', '/many/doc/1')).json._source).toEqual(row)
  const found = await call(infino, 'POST', '/many/querydsl', { body: '{"query":{"term":{"f2999":2999}}}' })
  expect(found.json.hits.total.value).toBe(1)
})
