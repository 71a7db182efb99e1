/** JSON read in bytes against `JSON.parse` and the packages: the same rows, and the same inputs refused. */
import { Readable } from 'node:stream'
import fc from 'fast-check'
import { streamArray } from 'stream-json/streamers/stream-array.js'
import { describe, expect, it } from 'vitest'
import { isRow, parse, size, textAt, textBatch } from '../../src/batch.js'
import { type JsonArrayDecoder, jsonArrayDecoder } from '../../src/codecs/json-array.js'
import { jsonlDecoder } from '../../src/codecs/jsonl.js'
import type { RejectedRow, Row } from '../../src/contracts.js'
import { parseJson, stringifyJson } from '../../src/json.js'
import { collect, pieces, splitsOf, utf8 } from './decoding.js'

const space = fc.constantFrom('', '', ' ', '\n', '\r\n  ', '\t')

const value: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
  fc.constantFrom('},{', '"', '\\', ']', '}', '[{"a":1},{"b":2}]', '4111111111111111', '\u2028', 'é😀'),
)

const row = fc.dictionary(fc.string({ maxLength: 4 }), value, { maxKeys: 4, noNullPrototype: true })

/** JSON text of a value with white space wherever it may stand. */
function written(item: unknown, gaps: string[]): string {
  let at = 0
  const gap = () => gaps[at++ % gaps.length] ?? ''
  const write = (part: unknown): string => {
    if (Array.isArray(part)) return `[${gap()}${part.map(write).join(`${gap()},${gap()}`)}${gap()}]`
    if (!isRow(part)) return stringifyJson(part)
    const members = Object.entries(part).map(
      ([key, member]) => `${JSON.stringify(key)}${gap()}:${gap()}${write(member)}`,
    )
    return `{${gap()}${members.join(`${gap()},${gap()}`)}${gap()}}`
  }
  return write(item)
}

const noise = fc.constantFrom(
  '',
  '',
  '',
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
  '\\',
  '\n',
  '{}',
  '},{',
  ' null ',
)

const cutsOf = (length: number, at: number[]) =>
  [...new Set(at.map((place) => (length === 0 ? 0 : place % length)))]
    .filter((place) => place > 0)
    .sort((a, b) => a - b)

function readArray(bytes: Uint8Array, at: number[], path: string[] = []) {
  const decoder: JsonArrayDecoder = jsonArrayDecoder({ path })
  const texts: string[] = []
  const watched = {
    push: (piece: Uint8Array) => noted(decoder.push(piece)),
    end: () => noted(decoder.end()),
  }
  const noted = (decoded: ReturnType<JsonArrayDecoder['push']>) => {
    for (let i = 0; decoded !== undefined && i < size(decoded.batch); i++)
      texts.push(textAt(decoded.batch, i))
    return decoded
  }
  const told = collect(watched, pieces(bytes, cutsOf(bytes.length, at)))
  return { ...told, texts, around: decoder.around() }
}

const plain = (rows: readonly unknown[]) => rows.map((item) => stringifyJson(item))

async function packageRows(text: string): Promise<unknown[] | undefined> {
  const rows: unknown[] = []
  try {
    const source = Readable.from([text]).pipe(streamArray.withParserAsStream())
    for await (const { value: item } of source as AsyncIterable<{ value: unknown }>) rows.push(item)
    return rows
  } catch {
    return undefined
  }
}

describe('an array in a JSON document', () => {
  it('gives what JSON.parse gives, or is refused where that throws, however it is written and cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof({ weight: 6, arbitrary: row }, { weight: 1, arbitrary: value }), { maxLength: 6 }),
        fc.array(space, { minLength: 1, maxLength: 7 }),
        fc.nat(),
        noise,
        fc.array(fc.nat(), { maxLength: 6 }),
        (items, gaps, where, dirt, at) => {
          const clean = written(items, gaps)
          const place = where % (clean.length + 1)
          // Half a character is none.
          const text = Buffer.from(clean.slice(0, place) + dirt + clean.slice(place)).toString()
          const bytes = utf8(text)
          const read = readArray(bytes, at)
          let whole: unknown
          try {
            whole = parseJson(text)
          } catch {
            expect(read.error).toBeDefined()
            return
          }
          if (!Array.isArray(whole)) {
            expect(read.error?.code).toBe('ETL_JSON_NOT_ARRAY')
            return
          }
          expect(read.error).toBeUndefined()
          expect(plain(read.rows)).toEqual(plain(whole.filter(isRow)))
          expect(read.rejected.map(({ code }) => code)).toEqual(
            whole.filter((item) => !isRow(item)).map(() => 'ETL_JSON_NOT_OBJECT'),
          )
          expect(plain(read.texts.map(parseJson))).toEqual(plain(read.rows))
          expect(read.texts.join('')).not.toMatch(/[\r\n]/)
        },
      ),
      { numRuns: 1500 },
    )
  })

  it('is refused by stream-json where it is refused here', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 4 }), fc.nat(), noise, async (items, where, dirt) => {
        const clean = JSON.stringify(items.map((item) => JSON.parse(stringifyJson(item)) as unknown))
        const place = where % (clean.length + 1)
        const text = clean.slice(0, place) + dirt + clean.slice(place)
        const read = readArray(utf8(text), [])
        const rows = await packageRows(text)
        expect(read.error === undefined).toBe(rows !== undefined)
        const told = [...read.rows, ...read.rejected].length
        if (rows !== undefined) expect(told).toBe(rows.length)
      }),
      { numRuns: 150 },
    )
  })

  it('lets the document around it be seen, wherever it is cut', () => {
    const text =
      '{"next":"a","n":12345678901234567890,\n"data":{"rows":[{"a":1},\n{"a":2}],"last":[{}]},"total":2}'
    const bytes = utf8(text)
    for (const cuts of splitsOf(bytes.length)) {
      const { rows, around } = readArray(bytes, cuts ?? [], ['data', 'rows'])
      expect(rows).toEqual([{ a: 1 }, { a: 2 }])
      expect(around).toEqual({
        next: 'a',
        n: 12345678901234567890n,
        data: { rows: [], last: [{}] },
        total: 2,
      })
    }
    expect(readArray(utf8(' [1, {}] '), []).around).toEqual([])
    expect(readArray(utf8('[{}'), []).around).toBeUndefined()
    expect(readArray(utf8(`{"x":"${'x'.repeat(1100000)}","rows":[]}`), [], ['rows'])).toMatchObject({
      error: undefined,
      around: undefined,
    })
  })

  it('tells an element that is too deep, and one that a missing quote made long', () => {
    const deep = `[{"a":${'['.repeat(600)}${']'.repeat(600)}},{"a":1}]`
    const read = readArray(utf8(deep), [5, 700])
    expect(read.rows).toEqual([{ a: 1 }])
    expect(read.rejected).toMatchObject([
      { code: 'ETL_JSON_TOO_DEEP', reason: 'expected at most 512 levels, element 1 nests 601' },
    ])
    const lost = utf8(`[{"a":1},\n{"a":"x},\n{"a":"${'y'.repeat(400)}"}]`)
    for (const cuts of [[], [30], [200, 300]]) {
      const { rows, error } = collect(jsonArrayDecoder({ maxRowBytes: 256 }), pieces(lost, cuts))
      expect(rows).toEqual([{ a: 1 }])
      expect(error).toMatchObject({ code: 'ETL_JSON_BROKEN', line: 2, byte: 19 })
    }
  })
})

describe('JSON Lines', () => {
  const line = fc.oneof(
    { weight: 8, arbitrary: row.map((item) => stringifyJson(item)) },
    {
      weight: 3,
      // Lines that are broken alone and could make sense together.
      arbitrary: fc.constantFrom(
        '{"a":[{}',
        '{}]}',
        '{},{}',
        '{"a":"}',
        '{"}',
        '{}],[{}',
        '{} , {}',
        '{',
        '}',
        '{"a":1}\r',
      ),
    },
    { weight: 1, arbitrary: fc.constantFrom('1', 'null', '"x"', '[]', ' {"a": {"b": 1}, "c": {}} ', '') },
  )

  it('are judged one by one, however many are parsed at once', () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), fc.array(fc.nat(), { maxLength: 4 }), (lines, at) => {
        const bytes = utf8(`${lines.join('\n')}\n`)
        const good: Row[] = []
        let bad = 0
        for (const text of lines.flatMap((part) => part.split('\n'))) {
          if (text.trim() === '') continue
          try {
            const item = parseJson(text)
            if (isRow(item)) good.push(item)
            else bad++
          } catch {
            bad++
          }
        }
        const read = collect(jsonlDecoder(), pieces(bytes, cutsOf(bytes.length, at)))
        expect(plain(read.rows)).toEqual(plain(good))
        expect(read.rejected.length).toBe(bad)
      }),
      { numRuns: 2000 },
    )
  })

  it.each([
    [['{"a":[{}', '{}]}', '{},{}']],
    [['{"a":"}', '{"}', '{} , {}']],
    [['{"a":[{}', '{}]}', '{},\t{}']],
    [['{"a":[{}', '{}]}', '{}\r,{}']],
  ])('that only make sense together are refused, also where their number comes out even: %j', (lines) => {
    const read = collect(jsonlDecoder(), [utf8(lines.join('\n'))])
    expect(read.rows).toEqual([])
    expect(read.rejected.map(({ position }) => position?.row)).toEqual([1, 2, 3])
  })

  it('keep the text of each row beside it', () => {
    const decoded = jsonlDecoder().push(utf8('{"a":1.50}\nx\n {"b":[1, 2]}\n'))
    expect(decoded?.batch.rows).toEqual([{ a: 1.5 }, { b: [1, 2] }])
    expect(
      [0, 1].map((index) => textAt(decoded?.batch as NonNullable<typeof decoded>['batch'], index)),
    ).toEqual(['{"a":1.50}', '{"b":[1, 2]}'])
  })

  it('keep whole numbers of any length in whichever row they are', () => {
    const rows = Array.from({ length: 3000 }, (_, i) => ({ i, n: i % 7 === 0 ? 2n ** 64n + BigInt(i) : i }))
    const read = collect(jsonlDecoder(), [utf8(rows.map((item) => `${stringifyJson(item)}\n`).join(''))])
    expect(read.rows).toEqual(rows)
  })
})

it('texts of a batch that are no objects are not parsed together', () => {
  const bytes = utf8('[1;2];1,2;{"a":1}')
  const texts = { bytes, starts: [0, 3, 6, 10], ends: [2, 5, 9, 17], count: 4 }
  const bad: RejectedRow['row'][] = []
  const batch = parse(textBatch(texts), (_index, text) => bad.push(text))
  expect(batch.rows).toEqual([{ a: 1 }])
  expect(bad).toEqual(['[1', '2]', '1,2'])
})
