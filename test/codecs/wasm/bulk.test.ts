import fc from 'fast-check'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { putBulkLines } from '../../../src/codecs/wasm/bulk.js'
import type { JsonLines } from '../../../src/contracts.js'
import { builtLane } from './lane.js'

/** Rows with something else between them, as after a selection. */
function lines(rows: readonly string[]): JsonLines {
  const starts: number[] = []
  const ends: number[] = []
  let at = 0
  for (const row of rows) {
    starts.push(at + 1)
    at += 1 + Buffer.byteLength(row)
    ends.push(at)
  }
  return {
    bytes: Buffer.from(`${rows.map((row) => `~${row}`).join('')}~~`),
    starts,
    ends,
    count: rows.length,
  }
}

const head = Buffer.from('{"index":{"_id":"run_1.0.')

describe('bulk lines', () => {
  beforeAll(builtLane, 60_000)
  afterEach(() => {
    delete process.env.INFINO_ETL_BYTE_LANE
  })

  it('hold the rows with their ids, as many as there is room for', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'binary', maxLength: 60 }), { minLength: 1, maxLength: 40 }),
        fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 8, 95, 999_999_990)).filter((n) => n < 2 ** 53 - 50),
        fc.nat(30),
        fc.nat(3000),
        fc.nat(5),
        (texts, ordinal, at, room, from) => {
          const rows = texts.map((text) => `{"a":${JSON.stringify(text)}}`)
          const start = Math.min(from, rows.length - 1)
          const body = Buffer.alloc(at + room, '#')
          let expected = '#'.repeat(at)
          const starts: number[] = []
          const ends: number[] = []
          for (const [index, row] of rows.slice(start).entries()) {
            const action = `${head}${ordinal + index}"}}\n`
            const end = Buffer.byteLength(`${expected}${action}${row}\n`)
            if (end > body.length) break
            expected += `${action}${row}\n`
            starts.push(end - 1 - Buffer.byteLength(row))
            ends.push(end)
          }
          const done = putBulkLines(lines(rows), start, rows.length, head, ordinal, body, at)
          expect({ ...done, starts: [...(done?.starts ?? [])], ends: [...(done?.ends ?? [])] }).toEqual({
            count: ends.length,
            end: Buffer.byteLength(expected),
            starts,
            ends,
          })
          expect(body.toString('utf8', 0, done?.end)).toBe(expected)
          expect(body.subarray(done?.end).every((byte) => byte === 0x23)).toBe(true)
        },
      ),
      { numRuns: 1000 },
    )
  })

  it('come in several calls where there are very many', () => {
    const rows = Array.from({ length: 40_000 }, (_, i) => `{"i":${i}}`)
    const text = lines(rows)
    const body = Buffer.alloc(4_000_000)
    let at = 0
    let calls = 0
    for (let from = 0; from < rows.length; calls++) {
      const done = putBulkLines(text, from, rows.length, head, from, body, at)
      expect(done?.count).toBeGreaterThan(0)
      from += done?.count ?? rows.length
      at = done?.end ?? 0
    }
    expect(calls).toBeLessThan(10)
    expect(body.toString('utf8', 0, at)).toBe(rows.map((row, i) => `${head}${i}"}}\n${row}\n`).join(''))
  })

  it('are left to the caller where the lane cannot run', () => {
    process.env.INFINO_ETL_BYTE_LANE = 'off'
    expect(putBulkLines(lines(['{}']), 0, 1, head, 0, Buffer.alloc(100), 0)).toBeUndefined()
  })
})
