import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isEtlError } from '../../src/errors.js'
import { bulkFailures } from '../../src/infino/bulk.js'
import { countSucceeded } from '../../src/infino/bulk-scan.js'

const outcome = (body: string, count: number): unknown => {
  try {
    return bulkFailures(Buffer.from(body), count)
  } catch (error) {
    return isEtlError(error) ? error.verdict : error
  }
}

/** The same answer with a space, which the scan leaves to the parser. */
const spaced = (body: string) => body.replace('{', '{ ').replace('"errors":', '"errors": ')

const text = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom('"error"', '"errors":false', '"items":[', '\\', '"', '{', ']', '"status":500'),
)
const result = fc.oneof(
  { weight: 8, arbitrary: fc.record({ _id: text, status: fc.constantFrom(200, 201, 200.5) }) },
  { weight: 2, arbitrary: fc.record({ _id: text, result: text, extra: fc.jsonValue() }) },
  fc.record({ _id: text, status: fc.constantFrom(400, 429, 500, '503', 404), error: fc.jsonValue() }),
  fc.record({ status: fc.constantFrom(199, 409, '429', null, true) }),
)
const item = fc.oneof(
  { weight: 20, arbitrary: result.map((value) => ({ index: value })) },
  result.map((value) => ({ delete: value })),
  fc.jsonValue(),
)
const good = fc.array(
  fc.record({ index: fc.record({ _id: text, status: fc.constantFrom(200, 201) }) }) as fc.Arbitrary<unknown>,
  { minLength: 1 },
)
const replyWith = (extra: boolean) =>
  fc.record(
    {
      took: fc.nat(),
      errors: fc.constantFrom(false, false, false, true, null),
      ...(extra ? { extra: fc.jsonValue() } : {}),
      items: fc.oneof(good, fc.array(item)),
    },
    { requiredKeys: ['items'] },
  )

const reply: fc.Arbitrary<{ items: unknown[] }> = fc.oneof(replyWith(false), replyWith(true))

describe('the quick count of a bulk answer', () => {
  it('never says anything else than the parser', () => {
    let quick = 0
    fc.assert(
      fc.property(reply, (value) => {
        const body = JSON.stringify(value)
        const scanned = countSucceeded(Buffer.from(body))
        if (scanned !== undefined) {
          quick++
          expect(scanned).toBe(value.items.length)
          expect(outcome(spaced(body), value.items.length)).toEqual([])
        }
        expect(outcome(body, value.items.length)).toEqual(outcome(spaced(body), value.items.length))
      }),
      { numRuns: 2000 },
    )
    expect(quick).toBeGreaterThan(100)
  })

  it('is used for the usual answer', () => {
    const items = [
      { index: { _index: 'd', _id: '1"{[\\', result: 'created', status: 201, _shards: { total: 1 } } },
    ]
    expect(countSucceeded(Buffer.from(JSON.stringify({ took: 1, errors: false, items })))).toBe(1)
    expect(countSucceeded(Buffer.from(JSON.stringify({ items, errors: false })))).toBe(1)
    // Strings of any length: an expression that remembers each character would run out of room.
    const long = { index: { _id: 'ü'.repeat(5_000_000), status: 200 } }
    const body = Buffer.from(JSON.stringify({ errors: false, items: [...items, long] }))
    expect(bulkFailures(body, 2)).toEqual([])
    const members = `${'"a":1,'.repeat(3_000_000)}"status":201`
    for (const outcome of [members, `"_shards":{${members}}`, `"a":${'1'.repeat(5_000_000)}`])
      expect(bulkFailures(Buffer.from(`{"errors":false,"items":[{"index":{${outcome}}}]}`), 1)).toEqual([])
  })

  it('leaves a row with an error to the parser, which counts it as refused', () => {
    const body = '{"errors":false,"items":[{"index":{"status":200,"error":"no"}}]}'
    expect(outcome(body, 1)).toMatchObject([{ index: 0, verdict: 'never', reason: 'no' }])
  })

  it('leaves everything odd to the parser, which calls it unknown', () => {
    const item = '{"index":{"status":201}}'
    for (const body of [
      '',
      '{}',
      '{"errors":false}',
      `{"errors":false,"items":[${item}`,
      `{"errors":false,"items":[${item}]}}`,
      `{"errors":false,"items":[${item}]} {"x":1}`,
      `{"errors":true,"items":[${item}]}`,
      `{"errors":false,"errors":true,"items":[${item}]}`,
      `{"errors":false,"items":[],"items":[${item},${item}]}`,
      '{"errors":false,"items":["x"]}',
      '{"errors":false,"items":[{"index":{"_id":"a\tb","status":201}}]}',
      '{"errors":false,"items":[{"index":{"_id":"a\\q","status":201}}]}',
      '{"errors":false,"items":[{"index":{"status":0201}}]}',
      '{"errors":false,"items":[{"index":{"status":201,}}]}',
      `{"errors":false,"items":[${item},]}`,
      `{"took":1,"items":[${item}],"errors":true}`,
      '{"errors":false,"items":[{"index":[1]}]}',
      '{"errors":false,"items":[{"index":"x"}]}',
      '{"errors":false,"items":[null]}',
      `{"x":{"errors":false},"items":{"a":${item}}}`,
    ]) {
      expect(outcome(body, 1)).toBe('again')
    }
  })
})
