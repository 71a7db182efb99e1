/** The fast lanes against the packages they stand in for: the same rows, and the same inputs refused. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type CsvDecoderSetup, csvDecoder, csvPackageDecoder } from '../../src/codecs/csv.js'
import { byteDialect } from '../../src/codecs/csv-bytes.js'
import type { CsvDialect } from '../../src/codecs/csv-records.js'
import { rowMaker, settingMaker } from '../../src/codecs/csv-shape.js'
import { CSV_COLUMN_TYPES, readerOf } from '../../src/codecs/csv-types.js'
import type { Decoder } from '../../src/codecs/decoder.js'
import { type Collected, collect, pieces, splitsOf, utf8 } from './decoding.js'

const mark = fc.constantFrom(...',;\t|:"\'\\ ax5é'.split(''))

const dialect: fc.Arbitrary<CsvDialect> = fc
  .record({
    delimiter: fc.oneof({ weight: 4, arbitrary: fc.constantFrom(',', ';') }, { weight: 1, arbitrary: mark }),
    quote: fc.oneof(
      { weight: 4, arbitrary: fc.constant('"') },
      { weight: 1, arbitrary: mark },
      fc.constant(null),
    ),
    escape: fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: mark }),
    comment: fc.constant(null),
    newline: fc.constantFrom('\n' as const, '\n' as const, '\r' as const),
  })
  .filter(({ delimiter, quote }) => delimiter !== quote)

/** Bits that tables are made of, and bits that break them. */
const bit = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('D', 'D', 'N', 'N', 'Q', 'QQ', 'E', '\r', '\n') },
  { weight: 3, arbitrary: fc.constantFrom('0', '-', '1', '12', '3.5', '-0', '007', '1e5', '.', '\0', ' ') },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      'true',
      'False',
      'falsé',
      '2024-02-29',
      '2023-02-29',
      '2024-01-31T23:59:59.123Z',
      '2024-01-05 24:00:00',
      '9007199254740993',
      '-9223372036854775809',
      '123456789012345.6',
      'long text that is copied',
      'länger als zwölf Zeichen',
      '😀',
    ),
  },
)

const cell = fc.oneof(
  bit,
  fc.tuple(bit, bit).map((bits) => bits.join('')),
  bit.map((text) => `Q${text.replaceAll('Q', 'EQ')}Q`),
  fc.constant(''),
)

/** Mostly a table of the width, with any bits in between. */
function text(width: number): fc.Arbitrary<string> {
  const row = fc.array(cell, { minLength: width, maxLength: width }).map((cells) => `${cells.join('D')}N`)
  return fc
    .array(
      fc.oneof(
        { weight: 5, arbitrary: row },
        { weight: 1, arbitrary: fc.array(bit, { maxLength: 6 }).map((bits) => bits.join('')) },
      ),
      { maxLength: 10 },
    )
    .map((rows) => rows.join(''))
}

interface Case {
  readonly bytes: Uint8Array
  readonly setup: CsvDecoderSetup
}

const cases: fc.Arbitrary<Case> = fc.integer({ min: 1, max: 4 }).chain((width) =>
  fc
    .record({
      dialect,
      body: text(width),
      crlf: fc.boolean(),
      header: fc.boolean(),
      types: fc.array(fc.constantFrom(...CSV_COLUMN_TYPES), { minLength: width, maxLength: width }),
      ragged: fc.constantFrom('reject' as const, 'fill' as const),
      strict: fc.boolean(),
      names: fc.uniqueArray(fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', '"]', '0')), {
        minLength: width,
        maxLength: width,
      }),
    })
    .map(({ dialect: how, body, crlf, header, types, ragged, strict, names }) => {
      const { delimiter, quote, escape: before, newline } = how
      const written = body
        .replaceAll('D', delimiter)
        .replaceAll('Q', quote ?? '')
        .replaceAll('E', before ?? quote ?? '')
        .replaceAll('N', newline === '\n' && crlf ? '\r\n' : newline)
      const layout = { dialect: how, header, columns: names, types }
      return { bytes: utf8(written), setup: { layout, ragged, strict, file: 'x.csv' } }
    }),
)

interface Told extends Collected {
  readonly drift: string[]
}

function run(make: (setup: CsvDecoderSetup) => Decoder, { bytes, setup }: Case, cuts?: number[]): Told {
  const drift: string[] = []
  const decoder = make({ ...setup, onDrift: (column) => drift.push(column) })
  return { ...collect(decoder, pieces(bytes, cuts ?? [])), drift }
}

/** Behind text that follows a closing quote the package reads on, and may stumble over something else. */
function sameEnd(lane: Collected['error'], other: Collected['error']): void {
  if (lane?.code === 'ETL_CSV_QUOTE') expect(other).toMatchObject({ row: lane.row })
  else expect(lane).toEqual(other)
}

function same(lane: Told, other: Told): void {
  const { error, ...told } = lane
  const { error: otherError, ...otherTold } = other
  sameEnd(error, otherError)
  expect(told).toEqual(otherTold)
  for (const [index, row] of lane.rows.entries()) {
    expect(Object.keys(row)).toEqual(Object.keys(other.rows[index] as object))
    expect(Object.getPrototypeOf(row)).toBe(Object.prototype)
  }
}

describe('the CSV lane', () => {
  it('says of any text what csv-parse says of it, in any dialect', () => {
    fc.assert(
      fc.property(cases, (made) => same(run(csvDecoder, made), run(csvPackageDecoder, made))),
      { numRuns: 3000 },
    )
  })

  it('says the same wherever the bytes are cut', () => {
    fc.assert(
      fc.property(cases, (made) => {
        const whole = run(csvDecoder, made)
        for (const cuts of splitsOf(Math.min(made.bytes.length, 120))) {
          expect(run(csvDecoder, made, cuts ?? bytewise(made.bytes.length)), `cut at ${cuts}`).toEqual(whole)
        }
      }),
      { numRuns: 150 },
    )
  })

  it('refuses a row over the limit however it is cut', () => {
    fc.assert(
      fc.property(cases, fc.integer({ min: 1, max: 40 }), (made, maxRowBytes) => {
        const limited = { ...made, setup: { ...made.setup, maxRowBytes } }
        const whole = run(csvDecoder, limited)
        const cut = run(csvDecoder, limited, bytewise(made.bytes.length))
        expect({ ...cut, error: undefined }).toEqual({ ...whole, error: undefined })
        expect(cut.error?.row).toBe(whole.error?.row)
        const other = run(csvPackageDecoder, limited)
        expect(whole.rows).toEqual(other.rows.slice(0, whole.rows.length))
        if (whole.error === undefined) same(whole, other)
      }),
      { numRuns: 500 },
    )
  })

  it('reads every number as the reader of its column does', () => {
    const digits = fc.string({ unit: fc.constantFrom(...'0123456789'), maxLength: 18 })
    const number = fc
      .tuple(fc.constantFrom('', '-', '+'), digits, fc.constantFrom('', '.', '.0', 'e5'), digits)
      .map((parts) => parts.join(''))
    const types = fc.constantFrom('bigint' as const, 'double' as const)
    fc.assert(
      fc.property(
        fc.oneof(number, fc.double().map(String), fc.maxSafeInteger().map(String)),
        types,
        (value, type) => {
          const layout = { dialect: plain, header: false, columns: ['a', 'b'], types: [type, type] }
          const [row] = collect(csvDecoder({ layout }), [utf8(`${value},${value}\r\n`)]).rows
          const expected = value === '' ? null : (readerOf(type)?.(value) ?? value)
          expect(row).toEqual({ a: expected, b: expected })
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('leaves dialects of other marks to the package', () => {
    expect(byteDialect(plain)).toBeDefined()
    for (const other of [
      { delimiter: '::' },
      { delimiter: '§' },
      { quote: '""' },
      { escape: 'é' },
      { comment: '#' },
      { delimiter: '.' },
    ]) {
      expect(byteDialect({ ...plain, ...other })).toBeUndefined()
    }
  })
})

it('rows have any names for columns, compiled or not', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(
        fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('__proto__', '"]:1,x', "'", '\u2028')),
        { maxLength: 8 },
      ),
      (columns) => {
        const values = columns.map((_, index) => index)
        const row = rowMaker(columns)(values)
        expect(row).toEqual(settingMaker(columns)(values))
        expect(columns.map((name) => Object.getOwnPropertyDescriptor(row, name)?.value)).toEqual(values)
        expect(Object.getPrototypeOf(row)).toBe(Object.prototype)
      },
    ),
  )
})

const plain: CsvDialect = { delimiter: ',', quote: '"', escape: '"', comment: null, newline: '\n' }

function bytewise(length: number): number[] {
  return Array.from({ length: Math.max(0, length - 1) }, (_, index) => index + 1)
}
