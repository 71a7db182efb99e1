import { expect, it } from 'vitest'
import { randomSource } from '../../src/sources/random.js'
import { readAll } from './reading.js'

it('the same options give the same rows, and another seed gives others', async () => {
  const one = await readAll(randomSource({ rows: 2500, seed: 3 }))
  expect((await readAll(randomSource({ rows: 2500, seed: 3 }))).rows).toEqual(one.rows)
  expect((await readAll(randomSource({ rows: 2500, seed: 4 }))).rows).not.toEqual(one.rows)
  expect(one.expected).toBe(2500)
  expect(one.batches.map((batch) => batch.rows.length)).toEqual([1000, 1000, 500])
})

it('reads on from every cursor', async () => {
  const source = randomSource({ rows: 95, batchRows: 10 })
  const whole = await readAll(source)
  for (const { cursor, rows } of whole.cursors) {
    const rest = await readAll(source, { from: cursor })
    expect(rest.rows).toEqual(whole.rows.slice(rows))
    expect(rest.positions).toEqual(whole.positions.slice(rows))
    expect(rest.expected).toBe(95)
  }
  expect((await readAll(source, { from: { row: 96 } })).error?.code).toBe('ETL_CURSOR_INVALID')
})

it('partitions together are the whole', async () => {
  const source = randomSource({ rows: 103, partitions: 4 })
  const parts = await Promise.all(
    ((await source.partitions?.({})) ?? []).map((partition) => readAll(source, { partition })),
  )
  expect(parts.flatMap(({ rows }) => rows)).toEqual((await readAll(source)).rows)
  expect(parts.reduce((sum, { expected }) => sum + (expected ?? 0), 0)).toBe(103)
})

it('columns have the types that were asked for, with values that differ', async () => {
  const columns = { a: 'bigint', b: 'double', c: 'string', d: 'boolean', e: 'date', f: 'timestamp' } as const
  const source = randomSource({ rows: 2000, columns })
  const { rows } = await readAll(source)
  expect(Object.keys(rows[0] as object)).toEqual(Object.keys(columns))
  for (const row of rows) {
    expect(Number.isSafeInteger(row.a)).toBe(true)
    expect(typeof row.b).toBe('number')
    expect(typeof row.c).toBe('string')
    expect(typeof row.d).toBe('boolean')
    expect(row.e).toMatch(/^20[0-3]\d-\d\d-\d\d$/)
    expect(row.f).toMatch(/^20[0-3]\d-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/)
  }
  for (const name of ['a', 'b', 'c', 'e', 'f'])
    expect(new Set(rows.map((row) => row[name])).size).toBeGreaterThan(500)
  expect((await source.schema?.({}))?.columns[1]).toEqual({ name: 'b', type: 'double' })
})

it('a limit is kept, and options are checked', async () => {
  expect((await readAll(randomSource({ rows: 5000 }), { limit: 7 })).rows.length).toBe(7)
  expect(() => randomSource({ rows: -1 })).toThrow('option rows')
  expect(() => randomSource({ rows: 1, types: ['number' as 'bigint'] })).toThrow('option types')
})
