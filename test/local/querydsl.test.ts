import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseDate } from '../../src/local/dates.js'
import { type LocalInfino, startLocalInfino } from '../../src/local/index.js'
import { bulk, call, indexLines, rowsOf, search, sql } from './client.js'

let dir: string
let infino: LocalInfino
const hour = 3_600_000

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'local-'))
  infino = await startLocalInfino({ dir })
  await call(infino, 'PUT', '/shop')
  const at = (hoursAgo: number) => new Date(Date.now() - hoursAgo * hour).toISOString()
  await bulk(
    infino,
    'shop',
    indexLines([
      [
        '1',
        `{"name":"Red Laptop","category":"electronics","price":1200.50,"in_stock":true,"tags":["new","Hot"],"at":"${at(1)}","day":"2024-01-01","maker":{"name":"Acme","year":1990}}`,
      ],
      [
        '2',
        `{"name":"blue mouse, wireless","category":"electronics","price":25,"in_stock":true,"tags":["new"],"at":"${at(30)}","day":"2024-01-02T10:00:00Z","maker":{"name":"Mus"}}`,
      ],
      [
        '3',
        `{"name":"chair","category":"home","price":80,"in_stock":false,"tags":[],"at":"${at(50)}","day":"2024-02-01","a.b":5,"epoch":${Date.now() - hour}}`,
      ],
      [
        '4',
        `{"name":"Lamp","category":"home","price":null,"in_stock":true,"tags":"new","at":"${at(0)}","big":9007199254740993}`,
      ],
      ['5', `{"name":"it's 100% \\"odd\\"","category":"odd'); DROP TABLE x; --","price":-1}`],
    ]),
  )
})
afterAll(async () => {
  await infino.close()
  rmSync(dir, { recursive: true, force: true })
})

const ids = async (query: object, rest: object = {}) => {
  const reply = await search(infino, 'shop', { query, ...rest })
  if (reply.status !== 200) throw new Error(reply.text)
  const found = reply.json.hits.hits.map((hit: { _id: string }) => hit._id)
  if (!('size' in rest) && !('from' in rest))
    expect(reply.json.hits.total).toEqual({ value: found.length, relation: 'eq' })
  return found.join('')
}

test.each([
  [{ match_all: {} }, '12345'],
  [{ match_none: {} }, ''],
  [{ term: { category: 'electronics' } }, '12'],
  [{ term: { 'category.keyword': { value: 'home' } } }, '34'],
  [{ term: { category: 'Home' } }, ''],
  [{ term: { category: "odd'); DROP TABLE x; --" } }, '5'],
  [{ term: { price: 25 } }, '2'],
  [{ term: { price: '25.0' } }, '2'],
  [{ term: { in_stock: true } }, '124'],
  [{ term: { in_stock: 'false' } }, '3'],
  [{ term: { tags: 'new' } }, '124'],
  [{ term: { 'maker.name': 'Acme' } }, '1'],
  [{ term: { 'maker.name.keyword': 'Mus' } }, '2'],
  [{ term: { 'a.b': 5 } }, '3'],
  [{ term: { big: '9007199254740993' } }, '4'],
  [{ term: { _id: '3' } }, '3'],
  [{ term: { 'x\'"\0': 1 } }, ''],
  [{ terms: { category: ['home', 'none'] } }, '34'],
  [{ terms: { price: [25, 80] } }, '23'],
  [{ terms: { price: [] } }, ''],
  [{ match: { name: 'LAPTOP wireless' } }, '12'],
  [{ match: { name: { query: 'mouse blue', operator: 'and' } } }, '2'],
  [{ match: { name: 'lap' } }, ''],
  [{ match: { price: 80 } }, '3'],
  [{ match: { tags: 'hot' } }, '1'],
  [{ match_phrase: { name: 'mouse wireless' } }, '2'],
  [{ match_phrase: { name: 'wireless mouse' } }, ''],
  [{ range: { price: { gte: 25, lt: 1200.5 } } }, '23'],
  [{ range: { price: { gt: '25' } } }, '13'],
  [{ range: { price: { lt: 0 } } }, '5'],
  [{ range: { 'maker.year': { lte: 1990 } } }, '1'],
  [{ range: { at: { gte: 'now-1d' } } }, '14'],
  [{ range: { at: { lt: 'now-1d', gte: 'now-48h' } } }, '2'],
  [{ range: { epoch: { gte: 'now-2h', lte: 'now' } } }, '3'],
  [{ range: { day: { gte: '2024-01-02', lte: '2024-01-02' } } }, '2'],
  [{ range: { day: { gt: '2024-01-01' } } }, '23'],
  [{ range: { day: { gte: '2024-01-01||/M', lte: '2024-01-15||/M' } } }, '12'],
  [{ range: { name: { gte: 'c', lt: 'd' } } }, '3'],
  [{ prefix: { name: 'La' } }, '4'],
  [{ exists: { field: 'price' } }, '1235'],
  [{ exists: { field: 'maker.year' } }, '1'],
  [{ ids: { values: ['5', '1', 'x'] } }, '15'],
  [{ constant_score: { filter: { term: { category: 'home' } } } }, '34'],
  [
    {
      bool: {
        must: [{ term: { in_stock: true } }],
        filter: [{ range: { price: { lte: 50 } } }],
        must_not: [{ term: { category: 'used' } }],
      },
    },
    '2',
  ],
  [{ bool: { should: [{ term: { category: 'home' } }, { term: { price: 25 } }] } }, '234'],
  [{ bool: { must: { match_all: {} }, should: [{ term: { category: 'home' } }] } }, '12345'],
  [
    {
      bool: {
        should: [{ term: { category: 'home' } }, { term: { in_stock: true } }, { term: { price: 80 } }],
        minimum_should_match: 2,
      },
    },
    '34',
  ],
  [{ bool: { must_not: { exists: { field: 'day' } } } }, '45'],
  [{ bool: {} }, '12345'],
])('%j finds %j', async (query, expected) => {
  expect(await ids(query)).toBe(expected)
})

test('hits come sorted, paged and with the total of all', async () => {
  expect(await ids({ match_all: {} }, { sort: [{ price: 'desc' }] })).toBe('13254')
  expect(await ids({ match_all: {} }, { sort: [{ category: { order: 'asc' } }, { price: 'asc' }] })).toBe(
    '21345',
  )
  expect(await ids({ match_all: {} }, { sort: 'name', size: 2, from: 1 })).toBe('12')
  const page = await search(infino, 'shop', { size: 0, track_total_hits: true })
  expect(page.json.hits).toEqual({ total: { value: 5, relation: 'eq' }, max_score: null, hits: [] })
  const got = await call(infino, 'GET', '/shop/querydsl', { body: '{"query":{"term":{"_id":"2"}}}' })
  expect(got.json.hits.hits[0]).toMatchObject({ _index: 'shop', _id: '2', _score: 1 })
  expect((await call(infino, 'POST', '/shop/querydsl')).json.hits.total.value).toBe(5)
})

test('_source shows what is asked for, digits untouched', async () => {
  const show = async (_source: unknown) => {
    const { text } = await search(infino, 'shop', { query: { ids: { values: ['1'] } }, _source })
    return /"_source":(.*?)\}\]\}\}$/.exec(text)?.[1]
  }
  expect(await show(['price', 'maker.year'])).toBe('{"price":1200.50,"maker":{"year":1990}}')
  expect(await show('na*')).toBe('{"name":"Red Laptop"}')
  expect(await show({ includes: ['maker'], excludes: ['*.name'] })).toBe('{"maker":{"year":1990}}')
  expect(await show(['nothing'])).toBe('{}')
  expect(await show(false)).toBeUndefined()
})

test('terms and metrics are aggregated over what the query finds', async () => {
  const { json } = await search(infino, 'shop', {
    size: 0,
    query: { range: { price: { gte: 0 } } },
    aggs: {
      categories: { terms: { field: 'category.keyword', size: 1 } },
      tags: { terms: { field: 'tags', order: { _key: 'asc' } } },
      stock: { terms: { field: 'in_stock' } },
      prices: { terms: { field: 'price', size: 2, order: { _key: 'desc' } } },
      avg: { avg: { field: 'price' } },
      kinds: { cardinality: { field: 'category' } },
      none: { max: { field: 'nothing' } },
    },
  })
  expect(json.aggregations).toEqual({
    categories: {
      doc_count_error_upper_bound: 0,
      sum_other_doc_count: 1,
      buckets: [{ key: 'electronics', doc_count: 2 }],
    },
    tags: {
      doc_count_error_upper_bound: 0,
      sum_other_doc_count: 0,
      buckets: [
        { key: 'Hot', doc_count: 1 },
        { key: 'new', doc_count: 2 },
      ],
    },
    stock: {
      doc_count_error_upper_bound: 0,
      sum_other_doc_count: 0,
      buckets: [
        { key: 1, key_as_string: 'true', doc_count: 2 },
        { key: 0, key_as_string: 'false', doc_count: 1 },
      ],
    },
    prices: {
      doc_count_error_upper_bound: 0,
      sum_other_doc_count: 1,
      buckets: [
        { key: 1200.5, doc_count: 1 },
        { key: 80, doc_count: 1 },
      ],
    },
    avg: { value: (1200.5 + 25 + 80) / 3 },
    kinds: { value: 2 },
    none: { value: null },
  })
})

test.each([
  [{ query: { fuzzy: { name: 'x' } } }],
  [{ query: {} }],
  [{ query: [] }],
  [{ query: { term: { a: 1, b: 2 } } }],
  [{ query: { term: { a: [1] } } }],
  [{ query: { bool: { muss: [] } } }],
  [{ query: { range: { price: { from: 1 } } } }],
  [{ size: -1 }],
  [{ size: 10_001 }],
  [{ from: 1.5 }],
  [{ search_after: [1] }],
  [{ aggs: { x: { histogram: { field: 'price' } } } }],
  [{ aggs: { x: { terms: {} } } }],
  [{ sort: [{ price: 'up' }] }],
  [
    {
      query: Array.from({ length: 40 }).reduce<object>((inner) => ({ bool: { must: [inner] } }), {
        match_all: {},
      }),
    },
  ],
])('what is not understood is refused, not ignored: %j', async (body) => {
  const reply = await search(infino, 'shop', body)
  expect(reply.status).toBe(400)
  expect(reply.json.error).toEqual({ type: 'parsing_exception', reason: expect.stringMatching(/\S/) })
})

test('records are deleted by query, and the answer is their count', async () => {
  await call(infino, 'PUT', '/del')
  await bulk(
    infino,
    'del',
    indexLines(Array.from({ length: 10 }, (_, i) => [`${i}`, { i, odd: i % 2 === 1 }])),
  )
  const reply = await call(infino, 'PATCH', '/del', { body: '{"query":{"term":{"odd":true}}}' })
  expect([reply.status, reply.text]).toEqual([200, '5'])
  expect(rowsOf(await sql(infino, 'SELECT sum(i) AS s, count(*) AS n FROM del'))).toEqual([{ s: 20, n: 5 }])
  expect((await call(infino, 'PATCH', '/del', { body: '{}' })).status).toBe(400)
  expect((await call(infino, 'PATCH', '/del', { body: '{"query":{"nope":{}}}' })).status).toBe(400)
  expect((await call(infino, 'PATCH', '/nowhere', { body: '{"query":{"match_all":{}}}' })).status).toBe(404)
  const back = await bulk(infino, 'del', indexLines([['1', { i: 1 }]]))
  expect(back.json.items[0].index).toMatchObject({ result: 'created', _version: 1 })
})

test('date math counts in months, weeks and rounded units', () => {
  const now = Date.parse('2024-03-31T15:30:45.500Z')
  const at = (text: string, up = false) => {
    const ms = parseDate(text, now, up)
    return ms === undefined ? undefined : new Date(ms).toISOString()
  }
  expect(at('now')).toBe('2024-03-31T15:30:45.500Z')
  expect(at('now-1M')).toBe('2024-02-29T15:30:45.500Z')
  expect(at('now-1y/y')).toBe('2023-01-01T00:00:00.000Z')
  expect(at('now/d')).toBe('2024-03-31T00:00:00.000Z')
  expect(at('now/d', true)).toBe('2024-03-31T23:59:59.999Z')
  expect(at('now/w')).toBe('2024-03-25T00:00:00.000Z')
  expect(at('now-1d+2h/h')).toBe('2024-03-30T17:00:00.000Z')
  expect(at('2024-01-31||+1M')).toBe('2024-02-29T00:00:00.000Z')
  expect(at('2024-01-01T12:00:00+02:00')).toBe('2024-01-01T10:00:00.000Z')
  expect(at('2024-01', true)).toBe('2024-01-01T23:59:59.999Z')
  for (const wrong of ['nowhere', 'now-', 'now-1x', '2024-13-01', 'yesterday', '2024-01-01||x'])
    expect([wrong, at(wrong)]).toEqual([wrong, undefined])
})
