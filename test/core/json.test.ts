import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseJson, stringifyJson } from '../../src/json.js'

describe('parseJson', () => {
  it('gives what JSON.parse gives for every value without a long integer', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value)
        fc.pre(!/[0-9]{16}/.test(text))
        expect(parseJson(text)).toEqual(JSON.parse(text))
      }),
    )
  })

  it('keeps integers of any length and their neighbours, wherever they stand', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }),
        fc.jsonValue(),
        fc.string(),
        fc.constantFrom('', ' ', '\n\t'),
        (long, other, key, space) => {
          const rest = JSON.stringify(other)
          const text = `{${space}${JSON.stringify(`k${key}`)}${space}:${space}[${long},${rest}${space},{"x":${long}}]${space}}`
          const parsed = parseJson(text) as Record<string, unknown[]>
          const [first, second, third] = parsed[`k${key}`] as unknown[]
          const exact = long >= -(2n ** 53n) + 1n && long <= 2n ** 53n - 1n ? Number(long) : long
          expect(first).toBe(exact === 0 ? 0 : exact)
          expect(stringifyJson(second)).toBe(stringifyJson(parseJson(rest)))
          expect(third).toEqual({ x: exact === 0 ? 0 : exact })
        },
      ),
    )
  })

  it('leaves digits inside strings, fractions and exponents alone', () => {
    const text = '{"a":"12345678901234567890","b":0.12345678901234567,"c":1e300,"d":12345678901234567890e2}'
    expect(parseJson(text)).toEqual(JSON.parse(text))
  })

  it('makes __proto__ an ordinary member beside a long integer', () => {
    const parsed = parseJson('{"__proto__":{"polluted":1},"n":12345678901234567890}') as object
    expect(Object.keys(parsed)).toEqual(['__proto__', 'n'])
    expect(({} as { polluted?: number }).polluted).toBeUndefined()
  })

  it('throws SyntaxError for broken text with long digits too', () => {
    expect(() => parseJson('{"n":12345678901234567890,}')).toThrow(SyntaxError)
  })
})

describe('stringifyJson', () => {
  it('gives back text that was parsed, digit for digit', () => {
    const text = '{"id":9223372036854775807,"list":[18446744073709551616,null,"é\\n"],"o":{"k":true}}'
    expect(stringifyJson(parseJson(text))).toBe(text)
  })

  it('writes what JSON.stringify writes when there is no bigint', () => {
    const value = {
      a: undefined,
      b: new Date(0),
      c: [undefined, () => 1],
      d: Number.NaN,
      e: { toJSON: () => 7 },
    }
    expect(stringifyJson(value)).toBe(JSON.stringify(value))
    expect(stringifyJson({ ...value, z: 1n })).toBe(`${JSON.stringify(value).slice(0, -1)},"z":1}`)
  })

  it('refuses a row that contains itself with a named error', () => {
    const row: Record<string, unknown> = {}
    row.self = row
    expect(() => stringifyJson(row)).toThrow(expect.objectContaining({ code: 'ETL_ROW_UNSERIALISABLE' }))
  })
})
