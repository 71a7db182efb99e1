import fc from 'fast-check'
import { expect, it } from 'vitest'
import { csvDecoder } from '../../src/codecs/csv.js'
import { type CsvDialect, recordShape } from '../../src/codecs/csv-records.js'
import { jsonArrayDecoder } from '../../src/codecs/json-array.js'
import { findJsonFault } from '../../src/codecs/json-syntax.js'
import { jsonlDecoder } from '../../src/codecs/jsonl.js'
import { textDecoding } from '../../src/codecs/text-encoding.js'
import { stringifyJson } from '../../src/json.js'
import { collect, pieces, utf8 } from './decoding.js'

const cell = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', '"', ',', ';', '\n', '\r', '\\', ' ', "'", 'é', '😀', '\u2028') }),
  fc.string({ unit: 'binary' }).filter((text) => Buffer.from(text).toString() === text),
)

const dialect: fc.Arbitrary<CsvDialect> = fc
  .record({
    delimiter: fc.constantFrom(',', ';', '\t', '|', '::'),
    quote: fc.constantFrom('"', "'"),
    escape: fc.constantFrom(null, '\\'),
    comment: fc.constant(null),
    newline: fc.constant('\n' as const),
  })
  .map((made) => ({ ...made, escape: made.escape ?? made.quote }))

const cuts = fc.array(fc.nat(400), { maxLength: 12 })

function cutAt(bytes: Uint8Array, at: number[]): Generator<Uint8Array> {
  return pieces(
    bytes,
    [...new Set(at)].filter((place) => place > 0 && place < bytes.length).sort((a, b) => a - b),
  )
}

function write(
  value: string | null,
  { delimiter, quote, escape: mark }: CsvDialect,
  always: boolean,
): string {
  if (value === null) return ''
  const q = quote as string
  const bare =
    !always && value !== '' && !value.startsWith(q) && !value.includes(delimiter) && !/[\r\n]/.test(value)
  if (bare && !delimiter.includes(value.at(-1) as string)) return value
  let text = ''
  for (const char of value) text += char === q || char === mark ? `${mark}${char}` : char
  return `${q}${text}${q}`
}

it('any table written in any dialect is read back, however it is cut', () => {
  fc.assert(
    fc.property(
      dialect,
      fc.integer({ min: 1, max: 5 }).chain((width) =>
        fc.array(fc.array(fc.option(cell), { minLength: width, maxLength: width }), {
          minLength: 1,
          maxLength: 8,
        }),
      ),
      fc.boolean(),
      fc.constantFrom('\n', '\r\n'),
      fc.boolean(),
      cuts,
      (how, table, always, lineEnd, last, at) => {
        const columns = (table[0] as unknown[]).map((_, index) => `c${index}`)
        const lines = table.map((row) => row.map((value) => write(value, how, always)).join(how.delimiter))
        const bytes = utf8(lines.join(lineEnd) + (last || lines.at(-1) === '' ? lineEnd : ''))
        const layout = { dialect: how, header: false, columns, types: columns.map(() => 'string' as const) }
        const read = collect(csvDecoder({ layout }), cutAt(bytes, at))
        expect(read.error).toBeUndefined()
        expect(read.rejected).toEqual([])
        expect(read.rows.map((row) => columns.map((name) => row[name]))).toEqual(table)
        read.positions.forEach((position, index) => {
          expect(bytes.subarray(position?.byte)).toEqual(
            bytes.subarray(
              utf8(
                lines
                  .slice(0, index)
                  .map((line) => line + lineEnd)
                  .join(''),
              ).length,
            ),
          )
        })
      },
    ),
    { numRuns: 400 },
  )
})

it('the shape of a record tells which cells stand in quotes', () => {
  fc.assert(
    fc.property(
      dialect,
      fc.array(fc.tuple(cell, fc.boolean()), { minLength: 1, maxLength: 6 }),
      (how, cells) => {
        const texts = cells.map(([value, always]) => write(value, how, always))
        const shape = recordShape(Buffer.from(texts.join(how.delimiter)), how)
        expect(shape).toEqual({ quoted: texts.map((text) => text.startsWith(how.quote as string)) })
      },
    ),
  )
})

const objects = fc.array(
  fc.dictionary(fc.string(), fc.oneof(fc.jsonValue(), fc.bigInt()), { noNullPrototype: true }),
  { maxLength: 8 },
)
const normal = (row: unknown) => stringifyJson(row)

it('any objects written as JSON Lines or as an array are read back, however they are cut', () => {
  fc.assert(
    fc.property(
      objects,
      cuts,
      fc.constantFrom('\n', '\r\n', '\n\n'),
      fc.constantFrom(0, 2),
      (rows, at, lineEnd, indent) => {
        const lines = utf8(rows.map((row) => stringifyJson(row) + lineEnd).join(''))
        for (const form of ['rows', 'any'] as const) {
          expect(collect(jsonlDecoder({ form }), cutAt(lines, at)).rows.map(normal)).toEqual(rows.map(normal))
        }
        const space = ' '.repeat(indent)
        const array = utf8(
          `${space}[${rows.map((row) => `${space}${stringifyJson(row)}${space}`).join(`${space},${lineEnd}`)}]${lineEnd}`,
        )
        const read = collect(jsonArrayDecoder(), cutAt(array, at))
        expect(read.error).toBeUndefined()
        expect(read.rows.map(normal)).toEqual(rows.map(normal))
        for (const position of read.positions) expect(array[position?.byte as number]).toBe(0x7b)
      },
    ),
    { numRuns: 300 },
  )
})

it('a fault is found exactly where JSON.parse fails', () => {
  fc.assert(
    fc.property(
      fc.json(),
      fc.nat(),
      fc.constantFrom('', '}', ']', ',', ':', '"', 'x', '1', '\\'),
      (json, where, noise) => {
        const at = where % (json.length + 1)
        const text = json.slice(0, at) + noise + json.slice(at + (noise === '' ? 1 : 0))
        let valid = true
        try {
          JSON.parse(text)
        } catch {
          valid = false
        }
        const fault = findJsonFault(text)
        expect(fault === undefined).toBe(valid)
        // A fault is told at the start of the word, number or escape it is in, and never before that.
        const token = /[\w.+\-\\]*$/.exec(json.slice(0, at))?.[0].length ?? 0
        if (fault !== undefined && noise !== '') expect(fault.at).toBeGreaterThanOrEqual(at - token)
      },
    ),
    { numRuns: 1000 },
  )
})

it('invalid UTF-8 is told at its exact byte, and what is before it is kept', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 40 }),
      fc.string({ unit: 'binary', maxLength: 40 }),
      cuts,
      (noise, text, at) => {
        const bytes = Buffer.concat([Buffer.from(text), noise])
        const decoding = textDecoding(new Uint8Array(0))
        const out: Uint8Array[] = []
        let failed: number | undefined
        for (const piece of [...cutAt(bytes, at), undefined]) {
          const { bytes: part, error } = piece === undefined ? decoding.end() : decoding.push(piece)
          out.push(part)
          if (error !== undefined) {
            failed = error.context.byte
            break
          }
        }
        let expected: number | undefined
        for (let end = 0; end <= bytes.length && expected === undefined; end++) {
          try {
            new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(0, end), {
              stream: true,
            })
          } catch {
            expected = end
          }
        }
        if (expected === undefined) {
          let cut = false
          try {
            new TextDecoder('utf-8', { fatal: true }).decode(bytes)
          } catch {
            cut = true
          }
          expect(failed !== undefined).toBe(cut)
        } else expect(failed).toBeLessThan(expected)
        const given = Buffer.concat(out)
        expect(given.equals(bytes.subarray(0, failed ?? bytes.length))).toBe(true)
      },
    ),
    { numRuns: 500 },
  )
})
