import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { type CsvLayout, csvDecoder } from '../../../src/codecs/csv.js'
import { CSV_COLUMN_TYPES } from '../../../src/codecs/csv-types.js'
import { jsonArrayDecoder } from '../../../src/codecs/json-array.js'
import { csvByteDecoder } from '../../../src/codecs/wasm/csv.js'
import { jsonArrayByteDecoder } from '../../../src/codecs/wasm/json.js'
import type { Row } from '../../../src/contracts.js'
import { stringifyJson } from '../../../src/json.js'
import { type Collected, collect, pieces, utf8 } from '../decoding.js'
import { builtLane, counting } from './lane.js'

const cuts = fc.array(fc.nat(300), { maxLength: 6 })

function cutAt(bytes: Uint8Array, at: number[]): Generator<Uint8Array> {
  const places = [...new Set(at)].filter((place) => place > 0 && place < bytes.length)
  return pieces(
    bytes,
    places.sort((a, b) => a - b),
  )
}

const number = fc.oneof(
  fc.integer().map(String),
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map(String),
  fc.bigInt({ min: 2n ** 53n - 3n, max: 2n ** 53n + 3n }).map(String),
  fc.bigInt({ min: 2n ** 63n - 2n, max: 2n ** 63n + 2n }).map((value) => String(-value)),
  fc.double().map(String),
  fc.tuple(fc.integer(), fc.nat(), fc.integer({ min: -420, max: 420 })).map(([a, b, c]) => `${a}.${b}e${c}`),
  fc.string({ unit: fc.constantFrom('0', '1', '9', '-', '+', '.', 'e', 'E'), maxLength: 24 }),
)
const moment = fc.oneof(
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString().slice(0, 10)),
  fc.string({ unit: fc.constantFrom('0', '1', '2', '-', ':', 'T', 'Z', '.', '+'), maxLength: 24 }),
  fc
    .tuple(
      fc.constantFrom('2020-02-29', '2023-02-29', '2000-12-31'),
      fc.constantFrom('T', ' '),
      fc.nat(30),
      fc.nat(70),
    )
    .map(([day, t, h, m]) => `${day}${t}${String(h).padStart(2, '0')}:${String(m).padStart(2, '0')}`),
)
const text = fc.oneof(
  fc.string({
    unit: fc.constantFrom('a', '"', ',', ';', '\n', '\r', '\\', ' ', "'", 'é', '😀', '\u2028', '\u0000'),
  }),
  fc.string({ unit: 'binary', maxLength: 40 }).filter((value) => Buffer.from(value).toString() === value),
)
const cell = fc.oneof(text, number, moment, fc.constantFrom('', 'true', 'FALSE', 'False', 'tru'))

const layout: fc.Arbitrary<CsvLayout> = fc
  .record({
    delimiter: fc.constantFrom(',', ';', '\t', '|', ' ', 'a'),
    quote: fc.constantFrom('"', "'", null),
    header: fc.boolean(),
    types: fc.array(fc.constantFrom(...CSV_COLUMN_TYPES), { minLength: 1, maxLength: 4 }),
    names: fc.array(fc.string(), { minLength: 4, maxLength: 4 }),
  })
  .map(({ delimiter, quote, header, types, names }) => ({
    dialect: { delimiter, quote, escape: quote, comment: null, newline: '\n' },
    header,
    columns: types.map((_, index) => `${names[index]}${index}`),
    types,
  }))

function write(value: string, { dialect }: CsvLayout, quoted: boolean): string {
  const { quote, delimiter } = dialect
  if (quote === null) return value.replaceAll(delimiter, '').replaceAll(/[\r\n]/g, '')
  if (!quoted && !value.startsWith(quote) && !value.includes(delimiter) && !/[\r\n]/.test(value)) return value
  return `${quote}${value.replaceAll(quote, quote + quote)}${quote}`
}

/** A cell that only a wider record before could have added. */
function withoutFilling(said: Collected, columns: readonly string[]): Collected {
  const known = new Set(columns)
  const rows = said.rows.map((row) =>
    Object.fromEntries(Object.entries(row).filter(([name, value]) => value !== null || known.has(name))),
  )
  return { ...said, rows: rows as Row[] }
}

function compareCsv(bytes: Uint8Array, how: CsvLayout, fill: boolean, strict: boolean, at: number[]): number {
  const drift = { lane: new Map<string, number>(), oracle: new Map<string, number>() }
  const counter = (counts: Map<string, number>) => (column: string) =>
    counts.set(column, (counts.get(column) ?? 0) + 1)
  const setup = {
    layout: how,
    strict,
    ragged: fill ? ('fill' as const) : undefined,
    maxRowBytes: 200,
    file: 'x',
  }
  const counted = counting(csvByteDecoder({ ...setup, onDrift: counter(drift.lane) }))
  const said = collect(counted.decoder, cutAt(bytes, at))
  const expected = collect(csvDecoder({ ...setup, onDrift: counter(drift.oracle) }), [bytes])
  expect(withoutFilling(said, how.columns)).toEqual(withoutFilling(expected, how.columns))
  if (expected.error === undefined) expect(drift.lane).toEqual(drift.oracle)
  return counted.texts()
}

describe('the byte lane', () => {
  beforeAll(builtLane, 60_000)

  it('says the same as the other decoder about any table in any dialect, however it is cut', () => {
    let texts = 0
    fc.assert(
      fc.property(
        layout,
        fc.array(fc.array(fc.tuple(cell, fc.boolean()), { minLength: 0, maxLength: 6 }), { maxLength: 8 }),
        fc.record({
          even: fc.boolean(),
          fill: fc.boolean(),
          strict: fc.boolean(),
          crlf: fc.boolean(),
          last: fc.boolean(),
        }),
        cuts,
        (how, table, { even, fill, strict, crlf, last }, at) => {
          const width = how.columns.length
          const lines = table.map((row) => {
            const cells = row.map(([value, quoted]) => write(value, how, quoted))
            while (even && cells.length < width) cells.push('')
            return cells.slice(0, even ? width : undefined).join(how.dialect.delimiter)
          })
          const end = crlf ? '\r\n' : '\n'
          texts += compareCsv(utf8(lines.join(end) + (last ? end : '')), how, fill, strict, at)
        },
      ),
      { numRuns: 1500 },
    )
    expect(texts).toBeGreaterThan(500)
  })

  it('says the same as the other decoder about any noise', () => {
    const noise = fc.string({
      unit: fc.constantFrom('a', '1', '"', '"', ',', ',', '\n', '\n', '\r', '\\', '-', '.', 'é', '\u0000'),
      maxLength: 60,
    })
    fc.assert(
      fc.property(layout, noise, fc.boolean(), fc.boolean(), cuts, (how, input, fill, strict, at) => {
        compareCsv(utf8(input), how, fill, strict, at)
      }),
      { numRuns: 1500 },
    )
  })

  const value = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.bigInt(), fc.string({ unit: 'binary' }))
  const rows = fc.array(fc.dictionary(fc.string(), value, { noNullPrototype: true }), { maxLength: 6 })
  const space = fc.string({ unit: fc.constantFrom(' ', '\n', '\r', '\t'), maxLength: 20 })

  it('says the same as the other decoder about any array of objects, however it is cut', () => {
    fc.assert(
      fc.property(
        rows,
        fc.array(space, { minLength: 6, maxLength: 6 }),
        fc.boolean(),
        cuts,
        (made, spaces, loose, at) => {
          const [a, b, c, d, e, f] = spaces as [string, string, string, string, string, string]
          const texts = made.map((row) => {
            const json = stringifyJson(row)
            // Space between the tokens outside of texts.
            return loose
              ? json.replaceAll(/"(?:[^"\\]|\\.)*"|[[\]{}:,]/g, (token) => `${e}${token}${f}`)
              : json
          })
          const bytes = utf8(`${a}[${b}${texts.join(`${c},${d}`)}${c}]${a}`)
          const counted = counting(jsonArrayByteDecoder())
          const said = collect(counted.decoder, cutAt(bytes, at))
          expect(said).toEqual(collect(jsonArrayDecoder(), [bytes]))
          expect(said.rows.map(stringifyJson)).toEqual(made.map(stringifyJson))
          expect(counted.texts()).toBeGreaterThanOrEqual(made.length - 1)
        },
      ),
      { numRuns: 400 },
    )
  })

  it('says the same as the other decoder about an array with a fault anywhere', () => {
    const fault = fc.constantFrom(
      '',
      '}',
      ']',
      '[',
      '{',
      ',',
      ':',
      '"',
      'x',
      '1',
      '-',
      '.',
      'e',
      '\\',
      'u',
      '\n',
      '\u0001',
    )
    fc.assert(
      fc.property(rows, fc.nat(), fault, fc.boolean(), cuts, (made, where, noise, pretty, at) => {
        const json = pretty
          ? `[\n${made.map((row) => stringifyJson(row)).join(' ,\n')}\n]`
          : stringifyJson(made as never)
        const place = where % (json.length + 1)
        const bytes = utf8(json.slice(0, place) + noise + json.slice(place + (noise === '' ? 1 : 0)))
        const said = collect(jsonArrayByteDecoder({ file: 'x' }), cutAt(bytes, at))
        expect(said).toEqual(collect(jsonArrayDecoder({ file: 'x' }), [bytes]))
      }),
      { numRuns: 1500 },
    )
  })
})
