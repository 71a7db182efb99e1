import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type FieldKinds, observe, sqlType } from '../../src/local/fields.js'
import { IdFilter } from '../../src/local/id-filter.js'
import { members, mergeObjects } from '../../src/local/json-text.js'
import { Shapes } from '../../src/local/shapes.js'

const scalar = fc.oneof(
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
  fc.string(),
  fc.constantFrom('2024-01-01', '2024-01-01T10:00:00Z', null),
)

test('text that is taken without parsing is JSON and shows nothing new', () => {
  let taken = 0
  const row = fc.record({ a: scalar, 'b "q"': scalar, 'c$.(': scalar }, { requiredKeys: ['a'] })
  const noise = fc.constantFrom(
    '',
    '"',
    '\\',
    ',',
    '}',
    '{',
    '0',
    '9',
    '.',
    'e',
    '-',
    'null',
    ' ',
    '\t',
    '\n',
    ':',
    '1e400',
    'é',
    '\u0000',
  )
  fc.assert(
    fc.property(
      fc.array(row, { minLength: 1, maxLength: 4 }),
      row,
      fc.nat(60),
      fc.nat(3),
      noise,
      (known, next, at, cut, put) => {
        const shapes = new Shapes()
        const kinds: FieldKinds = new Map()
        for (const document of known) {
          const text = JSON.stringify(document)
          if (shapes.fits(text)) continue
          observe(kinds, document, text)
          shapes.learn(document, kinds)
        }
        for (const whole of [JSON.stringify(next), JSON.stringify(known[0])])
          for (const text of [whole, whole.slice(0, at) + put + whole.slice(at + cut)]) {
            if (!shapes.fits(text)) continue
            taken += 1
            const document = JSON.parse(text)
            const after = new Map(kinds)
            observe(after, document, text)
            expect([...after.keys()]).toEqual([...kinds.keys()])
            for (const [name, kind] of after)
              expect([name, sqlType(kind)]).toEqual([name, sqlType(kinds.get(name)!)])
          }
      },
    ),
    { numRuns: 3000 },
  )
  expect(taken).toBeGreaterThan(1000)
})

test('members keep the exact text of each value', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.constantFrom(undefined, 1, '\t'),
      (value, indent) => {
        const found = members(JSON.stringify(value, undefined, indent))
        expect([...found.keys()]).toEqual(Object.keys(value))
        for (const [key, text] of found)
          expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value[key])))
      },
    ),
  )
  expect([...members('{"a" : 1.0 ,"a":[ 2 ], "\\u0062":"}"}')]).toEqual([
    ['a', '[ 2 ]'],
    ['b', '"}"'],
  ])
  expect(mergeObjects('{"x":1.0,"o":{"a":1.10,"b":2}}', '{"o":{"b":3,"c":4},"y":[1]}')).toBe(
    '{"x":1.0,"o":{"a":1.10,"b":3,"c":4},"y":[1]}',
  )
})

test('the filter of ids never calls a known id new, and seldom a new one known', () => {
  const filter = new IdFilter()
  const count = 300_000
  let wrong = 0
  for (let i = 0; i < count; i += 1) if (filter.add(`run.0.${i}`)) wrong += 1
  expect(wrong).toBeLessThan(10)
  for (let i = 0; i < count; i += 1)
    if (!filter.add(`run.0.${i}`)) throw new Error(`run.0.${i} is called new`)
})
