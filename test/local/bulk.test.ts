import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type LocalInfino, startLocalInfino } from '../../src/local/index.js'
import { bulk, call, indexLines, rowsOf, sql } from './client.js'

let dir: string
let infino: LocalInfino
let dataset = ''
let made = 0

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'local-'))
  infino = await startLocalInfino({ dir })
})
afterAll(async () => {
  await infino.close()
  rmSync(dir, { recursive: true, force: true })
})
beforeEach(async () => {
  made += 1
  dataset = `d${made}`
  await call(infino, 'PUT', `/${dataset}`)
})

const count = async () => (await call(infino, 'GET', `/${dataset}/_count`)).json.count
const source = async (id: string) => {
  const { text } = await call(infino, 'GET', `/${dataset}/doc/${encodeURIComponent(id)}`)
  return text.slice(text.indexOf('"_source":') + '"_source":'.length, -1)
}

test('every action has its answer, in order', async () => {
  const body = [
    '{"index":{"_id":"a"}}',
    '{"v":1}',
    `{"create":{"_id":"b","_index":"${dataset}"}}`,
    '{"v":2}',
    '',
    '{"create":{"_id":"b"}}',
    '{"v":3}',
    '{"update":{"_id":"a"}}',
    '{"doc":{"w":{"x":1.50}}}',
    '{"update":{"_id":"a"}}\r',
    '{"doc":{"w":{"y":2},"v":12345678901234567890}}\r',
    '{"update":{"_id":"none"}}',
    '{"doc":{"v":1}}',
    '{"update":{"_id":"new"}}',
    '{"doc":{"v":7},"doc_as_upsert":true}',
    '{"delete":{"_id":"b"}}',
    '{"delete":{"_id":"b"}}',
    '{"index":{}}',
    '{"v":9}',
    '{"index":{"_id":17}}',
    '{"v":9}',
  ].join('\n')
  const { json } = await bulk(infino, dataset, body)
  expect(json.errors).toBe(true)
  expect(
    json.items.map((item: Record<string, { result?: string; status: number; _version?: number }>) => {
      const [action, { result, status, _version }] = Object.entries(item)[0]!
      return [action, result, status, _version]
    }),
  ).toEqual([
    ['index', 'created', 201, 1],
    ['create', 'created', 201, 1],
    ['create', undefined, 409, undefined],
    ['update', 'updated', 200, 2],
    ['update', 'updated', 200, 3],
    ['update', undefined, 404, undefined],
    ['update', 'created', 201, 1],
    ['delete', 'deleted', 200, 2],
    ['delete', 'not_found', 404, 2],
    ['index', 'created', 201, 1],
    ['index', 'created', 201, 1],
  ])
  expect(await source('a')).toBe('{"v":12345678901234567890,"w":{"x":1.50,"y":2}}')
  expect(await source('17')).toBe('{"v":9}')
  expect(await count()).toBe(4)
})

test('an id that comes again replaces the row, within a request and between them', async () => {
  await bulk(
    infino,
    dataset,
    indexLines([
      ['a', { v: 1 }],
      ['b', { v: 1 }],
      ['a', { v: 2 }],
    ]),
  )
  expect(await source('a')).toBe('{"v":2}')
  const { json } = await bulk(
    infino,
    dataset,
    indexLines([
      ['a', { v: 3 }],
      ['c', { v: 1 }],
    ]),
  )
  expect(json.items.map((item: { index: object }) => item.index)).toMatchObject([
    { result: 'updated', _version: 3, status: 200 },
    { result: 'created', _version: 1, status: 201 },
  ])
  expect(await count()).toBe(3)
})

test('a broken document is refused alone; its neighbours are stored', async () => {
  const body = Buffer.concat([
    Buffer.from(
      indexLines([
        ['ok1', { v: 1 }],
        ['cut', '{"v":'],
        ['list', '[1]'],
        ['null', 'null'],
      ]),
    ),
    Buffer.from('{"index":{"_id":"utf8"}}\n{"v":"'),
    Buffer.from([0xff, 0xfe]),
    Buffer.from('"}\n'),
    Buffer.from(
      indexLines([
        ['lone', '{"v":"\\ud800"}'],
        ['pair', '{"v":"\\ud83d\\ude00 \\\\ud800"}'],
        ['', { v: 1 }],
        ['x'.repeat(600), { v: 1 }],
        ['ök', '{"v":"ü"}'],
      ]),
    ),
    Buffer.from(`{"index":{"_id":"m","_index":"elsewhere"}}\n{"v":1}\n`),
  ])
  const { status, json } = await bulk(infino, dataset, body)
  expect(status).toBe(200)
  expect(json.errors).toBe(true)
  expect(json.items.map((item: { index: { status: number } }) => item.index.status)).toEqual([
    201, 400, 400, 400, 400, 400, 201, 400, 400, 201, 400,
  ])
  expect(json.items[1].index).toMatchObject({ _id: 'cut', error: { type: 'mapper_parsing_exception' } })
  expect(await count()).toBe(3)
  expect(await source('ök')).toBe('{"v":"ü"}')
  expect(rowsOf(await sql(infino, `SELECT v FROM ${dataset} ORDER BY _id`)).map((row) => row.v)).toEqual([
    '1',
    '😀 \\ud800',
    'ü',
  ])
})

test.each([
  ['no JSON', 'index\n{"v":1}\n'],
  ['a document where an action belongs', '{"v":1}\n{"v":2}\n'],
  ['two actions in a line', '{"index":{},"delete":{"_id":"a"}}\n{"v":1}\n'],
  ['an unknown action', '{"upsert":{"_id":"a"}}\n{"v":1}\n'],
  ['an action without its document', '{"index":{"_id":"b"}}\n'],
  ['nothing at all', '\n\n'],
])('a request with %s is refused whole, and nothing of it applied', async (_, broken) => {
  const { status, json } = await bulk(
    infino,
    dataset,
    `${indexLines([['a', { v: 1 }]]).repeat(_ === 'nothing at all' ? 0 : 1)}${broken}`,
  )
  expect(status).toBe(400)
  expect(json.error.reason).toEqual(expect.any(String))
  expect(await count()).toBe(0)
})

test('ids of every kind find their row again', async () => {
  const ids = [
    'a b',
    'a/b',
    'ü😀',
    "'",
    '"',
    '\\',
    'x\u001ey',
    'new\nline',
    '\u0000',
    '__proto__',
    '💥'.repeat(100),
  ]
  await bulk(infino, dataset, indexLines(ids.map((id, i) => [id, { i }])))
  const again = await bulk(infino, dataset, indexLines(ids.map((id, i) => [id, { i: i + 100 }])))
  for (const item of again.json.items) expect(item.index).toMatchObject({ result: 'updated', _version: 2 })
  for (const [i, id] of ids.entries()) expect([id, await source(id)]).toEqual([id, `{"i":${i + 100}}`])
  expect(await count()).toBe(ids.length)
})

test('requests that come at once are all stored', async () => {
  const replies = await Promise.all(
    Array.from({ length: 40 }, (_, r) =>
      bulk(
        infino,
        dataset,
        indexLines(Array.from({ length: 50 }, (_, i) => [`${r}.${i}`, { r, [`f${r}`]: i }])),
      ),
    ),
  )
  for (const reply of replies) expect(reply.json.errors).toBe(false)
  expect(await count()).toBe(2000)
  expect(rowsOf(await sql(infino, `SELECT sum(f7) AS s, count(f39) AS n FROM ${dataset}`))).toEqual([
    { s: 1225, n: 50 },
  ])
})

test('loads of any values read back through SQL as the types of their columns', async () => {
  const scalar = fc.oneof(
    fc.integer(),
    fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map((n) => ({ raw: String(n) })),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.string({ unit: 'grapheme' }),
    fc.constant(null),
    fc.constantFrom('2024-01-01', '1e5', 'true', 'null', '12'),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ a: scalar, b: scalar }, { requiredKeys: [] }), { minLength: 1, maxLength: 30 }),
      async (rows) => {
        made += 1
        const name = `p${made}`
        await call(infino, 'PUT', `/${name}`)
        const text = (value: unknown) =>
          typeof value === 'object' && value !== null ? (value as { raw: string }).raw : JSON.stringify(value)
        const documents = rows.map(
          (row) =>
            `{${Object.entries(row)
              .map(([key, value]) => `"${key}":${text(value)}`)
              .join(',')}}`,
        )
        const reply = await bulk(
          infino,
          name,
          indexLines(documents.map((document, i) => [String(i), document])),
        )
        expect(reply.json.errors).toBe(false)
        for (const key of ['a', 'b'] as const) {
          if (!rows.some((row) => key in row)) continue
          const found = rowsOf(
            await sql(infino, `SELECT ${key} AS v, typeof(${key}) AS t FROM ${name} ORDER BY _id::INTEGER`),
          )
          for (const [i, row] of rows.entries()) {
            const given = row[key]
            const { v, t } = found[i]!
            if (given === undefined || given === null) {
              expect(v).toBeNull()
              continue
            }
            // No value is ever lost to a type that does not fit it.
            expect([given, t, v]).not.toEqual([given, t, null])
            if (t === 'BIGINT' || t === 'HUGEINT' || t === 'DOUBLE') expect(v).toBe(Number(text(given)))
            else if (typeof given === 'string') expect(v).toBe(given)
            else if (typeof given === 'boolean') expect(String(v)).toBe(String(given))
          }
        }
        await call(infino, 'DELETE', `/${name}`)
      },
    ),
    { numRuns: 25 },
  )
})

test('whatever JSON is stored, every column of it can be selected', async () => {
  const name = fc.string({ unit: 'binary', maxLength: 8 })
  const documents = fc.array(fc.dictionary(name, fc.jsonValue({ maxDepth: 3 }), { maxKeys: 5 }), {
    minLength: 1,
    maxLength: 10,
  })
  await fc.assert(
    fc.asyncProperty(documents, fc.boolean(), async (rows, spaced) => {
      made += 1
      const name = `q${made}`
      await call(infino, 'PUT', `/${name}`)
      const texts = rows.map((row) =>
        spaced ? JSON.stringify(row, undefined, 1).replaceAll('\n', '') : JSON.stringify(row),
      )
      const reply = await bulk(infino, name, indexLines(texts.map((text, i) => [String(i), text])))
      expect(reply.json.errors).toBe(false)
      const all = await sql(infino, `SELECT * FROM ${name}`)
      expect([all.status, all.json.rows?.length]).toEqual([200, rows.length])
      const found = await call(infino, 'POST', `/${name}/querydsl`, { body: '{"size":100}' })
      for (const text of texts) expect(found.text).toContain(`"_source":${text}`)
      await call(infino, 'DELETE', `/${name}`)
    }),
    { numRuns: 40 },
  )
})

test('a document nested a hundred thousand levels deep does no harm', async () => {
  const deep = `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)},"b":${'{"c":'.repeat(50_000)}1${'}'.repeat(50_000)},"d":1}`
  const reply = await bulk(
    infino,
    dataset,
    indexLines([
      ['deep', deep],
      ['flat', { d: 2 }],
    ]),
  )
  expect(reply.json.items[1].index.status).toBe(201)
  await bulk(infino, dataset, '{"update":{"_id":"deep"}}\n{"doc":{"b":{"c":{"c":{"x":1}}},"d":3}}\n')
  expect((await bulk(infino, dataset, `{"update":{"_id":"deep"}}\n{"doc":${deep}}\n`)).status).toBe(200)
  expect((await sql(infino, `SELECT d, a, b FROM ${dataset}`)).status).toBe(200)
  const shown = await call(infino, 'POST', `/${dataset}/querydsl`, {
    body: '{"_source":{"excludes":["b.c.c.x"]},"query":{"exists":{"field":"d"}}}',
  })
  expect([shown.status, shown.json.hits.total.value]).toEqual([200, 2])
})
