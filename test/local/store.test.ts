import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { applyBulk } from '../../src/local/apply.js'
import { parseBulk } from '../../src/local/bulk.js'
import { Store } from '../../src/local/store.js'
import { indexLines } from './client.js'

let dir: string
let store: Store

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'local-'))
  store = await Store.open(dir, { memoryBytes: 128 * 1024 * 1024 })
  await store.create('d')
})
afterEach(async () => {
  await store.close()
  rmSync(dir, { recursive: true, force: true })
})

const load = (rows: Parameters<typeof indexLines>[0], fail = false) => {
  const bulk = parseBulk(Buffer.from(indexLines(rows)), 'd')
  return store.write(async (connection) => {
    const applied = await applyBulk(store, connection, store.dataset('d'), bulk)
    if (fail) throw new Error('planted')
    return applied
  }, bulk.bytes)
}
const ids = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => [`k${from + i}`, { i }] as const)

test('known ids are told from new ones when the filter is built again, with rows not yet committed too', async () => {
  await load(ids(300_000))
  store.dataset('d').ids = undefined
  const again = await load([
    ['k299999', { i: 1 }],
    ['k0', { i: 1 }],
    ['new', { i: 1 }],
  ])
  expect(again.outcomes).toEqual(['updated', 'updated', 'created'])
  const first = parseBulk(Buffer.from(indexLines(ids(10, 1_000_000))), 'd')
  const outcomes = await store.write(async (connection) => {
    const dataset = store.dataset('d')
    await applyBulk(store, connection, dataset, first)
    dataset.ids = undefined
    return (await applyBulk(store, connection, dataset, first)).outcomes
  })
  expect(outcomes).toEqual(new Array(10).fill('updated'))
})

test('work that fails is undone alone, whoever shared its transaction', async () => {
  const results = await Promise.allSettled([
    load([['a', { a: 1 }]]),
    load([['b', { b: 'x' }]]),
    load([['c', { broken: 1 }]], true),
    load([['d', { a: 1.5 }]]),
  ])
  expect(results.map((result) => result.status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled'])
  expect([...store.dataset('d').fields.keys()]).toEqual(['a', 'b'])
  const rows = await store.read((connection) =>
    connection.runAndReadAll('SELECT _id, a, b FROM d ORDER BY _id'),
  )
  expect(rows.getRows()).toEqual([
    ['a', 1, null],
    ['b', null, 'x'],
    ['d', 1.5, null],
  ])
  const retried = await load([
    ['c', { c: 1 }],
    ['a', { a: 2 }],
  ])
  expect(retried.outcomes).toEqual(['created', 'updated'])
})

test('a dataset that is dropped while work waits is not found by it', async () => {
  const [dropped, late] = await Promise.allSettled([store.drop('d'), load([['a', { a: 1 }]])])
  expect(dropped.status).toBe('fulfilled')
  expect(late).toMatchObject({ status: 'rejected', reason: { status: 404 } })
})
