import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  byteSize,
  isParsed,
  originAt,
  parse,
  putRow,
  replaceRows,
  rowAt,
  rowsBatch,
  select,
  size,
  slice,
  textAt,
  textBatch,
} from '../../src/batch.js'
import type { Batch } from '../../src/contracts.js'

interface Numbered {
  readonly n: number
}

const origin = { file: 'f', row: 11, lines: [5, 6, 9, 12], bytes: [0, 8, 16, 24] }

function asText(lines: readonly string[]): Batch<Numbered> {
  const bytes = Buffer.from(lines.join('\n'))
  const starts: number[] = []
  const ends: number[] = []
  let at = 0
  for (const line of lines) {
    starts.push(at)
    at += Buffer.byteLength(line)
    ends.push(at++)
  }
  return textBatch({ bytes, starts, ends, count: lines.length }, 'c', origin)
}

const four = ['{"n":0}', '{"n":1}', '{"n":2}', '{"n":3}']
const forms: Record<string, () => Batch<Numbered>> = {
  rows: () =>
    rowsBatch(
      four.map((line) => JSON.parse(line) as Numbered),
      'c',
      origin,
    ),
  text: () => asText(four),
  both: () => parse(asText(four), () => {}),
}

describe.each(Object.entries(forms))('a batch of %s', (name, make) => {
  it('gives the cursor to the part that holds the last row, and to no other', () => {
    expect(slice(make(), 0, 3).cursor).toBeUndefined()
    expect(slice(make(), 1, 4).cursor).toBe('c')
    expect(slice(make(), 0, 4).cursor).toBe('c')
  })

  it('keeps the cursor when rows are left out, even all of them', () => {
    expect(select(make(), [1]).cursor).toBe('c')
    expect(select(make(), []).cursor).toBe('c')
    expect(size(select(make(), []))).toBe(0)
  })

  it('keeps rows, text and places together however it is cut', () => {
    fc.assert(
      fc.property(fc.subarray([0, 1, 2, 3]), fc.nat(4), fc.nat(4), (kept, a, b) => {
        const [start, end] = [Math.min(a, b, kept.length), Math.min(Math.max(a, b), kept.length)]
        const cut = slice(select(make(), kept), start, end)
        const expected = kept.slice(start, end)
        expect(size(cut)).toBe(expected.length)
        for (const [i, n] of expected.entries()) {
          expect(rowAt(cut, i)).toEqual({ n })
          expect(textAt(cut, i)).toBe(four[n])
          expect(originAt(cut, i)).toEqual({
            file: 'f',
            row: 11 + n,
            line: origin.lines[n],
            byte: origin.bytes[n],
          })
          const into = Buffer.alloc(7)
          expect(putRow(cut, i, into, 0)).toBe(7)
          expect(into.toString()).toBe(four[n])
          expect(putRow(cut, i, into, 1)).toBe(-1)
        }
      }),
    )
  })

  it('is measured in bytes of JSON', () => {
    expect(byteSize(make())).toBeGreaterThanOrEqual(28)
    expect(byteSize(make())).toBeLessThan(80)
  })

  it(name === 'text' ? 'refuses to show rows nobody parsed' : 'shows its rows', () => {
    if (name === 'text')
      expect(() => make().rows).toThrow(expect.objectContaining({ code: 'ETL_BATCH_UNPARSED' }))
    else expect(make().rows).toHaveLength(4)
    expect(isParsed(make())).toBe(name !== 'text')
  })
})

describe('parse', () => {
  it('hands over each line that is no object and keeps the places of the others', () => {
    const bad: unknown[] = []
    const parsed = parse(asText(['{"n":0}', '[1]', '{"n":', '{"n":3}']), (index, text, reason) =>
      bad.push([index, text, reason.split(':')[0]]),
    )
    expect(parsed.rows).toEqual([{ n: 0 }, { n: 3 }])
    expect(bad).toEqual([
      [1, '[1]', 'expected a JSON object, got an array'],
      [2, '{"n":', 'broken JSON'],
    ])
    expect(originAt(parsed, 1)).toEqual({ file: 'f', row: 14, line: 12, byte: 24 })
    expect(textAt(parsed, 1)).toBe('{"n":3}')
  })
})

describe('replaceRows', () => {
  it('lets new rows keep the place of their parents', () => {
    const made = replaceRows(
      rowsBatch([{ n: 0 }, { n: 1 }], 'c', origin),
      [{ a: 1 }, { a: 2 }, { a: 3 }],
      [0, 1, 1],
    )
    expect([0, 1, 2].map((i) => originAt(made, i)?.line)).toEqual([5, 6, 6])
    expect(made.cursor).toBe('c')
  })
})

describe('putRow', () => {
  it('writes multi-byte text whole or not at all', () => {
    const batch = rowsBatch([{ s: 'ü€😀' }])
    const bytes = Buffer.from('{"s":"ü€😀"}')
    for (let room = 0; room < bytes.length; room++) expect(putRow(batch, 0, Buffer.alloc(room), 0)).toBe(-1)
    const exact = Buffer.alloc(bytes.length)
    expect(putRow(batch, 0, exact, 0)).toBe(bytes.length)
    expect(exact.equals(bytes)).toBe(true)
  })
})
