import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { isParsed, originAt, size } from '../../../src/batch.js'
import { csvPackageDecoder } from '../../../src/codecs/csv.js'
import { type CsvLayoutOptions, layoutOf, sampleCsv } from '../../../src/codecs/csv-layout.js'
import { jsonArrayDecoder } from '../../../src/codecs/json-array.js'
import { csvByteDecoder } from '../../../src/codecs/wasm/csv.js'
import { byteLane, takeEngine } from '../../../src/codecs/wasm/engine.js'
import { jsonArrayByteDecoder } from '../../../src/codecs/wasm/json.js'
import { csvSource } from '../../../src/sources/csv.js'
import { jsonSource } from '../../../src/sources/json.js'
import { readAll, workFolder } from '../../sources/reading.js'
import { collect, utf8 } from '../decoding.js'
import { builtLane, counting } from './lane.js'

const vega = fileURLToPath(new URL('../../../node_modules/vega-datasets/data', import.meta.url))
const file = workFolder()

function chunks(bytes: Uint8Array, size: number): Uint8Array[] {
  const made: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += size) made.push(bytes.slice(at, at + size))
  return made
}

function csvLayout(bytes: Uint8Array, options: CsvLayoutOptions = {}) {
  return layoutOf(sampleCsv(bytes, true, 'x', options), 'x', options.types)
}

describe('the byte lane', () => {
  beforeAll(builtLane, 60_000)
  afterEach(() => {
    delete process.env.INFINO_ETL_BYTE_LANE
  })

  it.each(['airports.csv', 'gapminder-health-income.csv', 'seattle-weather.csv', 'stocks.csv'])(
    '%s comes out as text with the rows of the other decoder',
    (name) => {
      const bytes = readFileSync(join(vega, name))
      const layout = csvLayout(bytes)
      const counted = counting(csvByteDecoder({ layout, file: name }))
      const said = collect(counted.decoder, chunks(bytes, 10_000))
      expect(said).toEqual(collect(csvPackageDecoder({ layout, file: name }), [bytes]))
      expect(counted.texts()).toBe(said.rows.length)
    },
  )

  it.each(['cars.json', 'movies.json', 'countries.json', 'barley.json'])(
    '%s comes out as text with the rows of the other decoder',
    (name) => {
      const bytes = readFileSync(join(vega, name))
      const counted = counting(jsonArrayByteDecoder({ file: name }))
      const said = collect(counted.decoder, chunks(bytes, 10_000))
      expect(said).toEqual(collect(jsonArrayDecoder({ file: name }), [bytes]))
      expect(counted.texts()).toBe(said.rows.length)
    },
  )

  it('gives one batch for one piece, however many rows are in it', () => {
    const rows = 60_000
    const bytes = utf8(
      `a,b\n${Array.from({ length: rows }, (_, i) => (i % 1000 === 7 ? 'x\n' : `${i},\n`)).join('')}`,
    )
    const decoder = csvByteDecoder({ layout: csvLayout(bytes.subarray(0, 60)) })
    const decoded = decoder.push(bytes)
    expect(decoder.end()).toBeUndefined()
    expect(size(decoded!.batch)).toBe(rows - 60)
    expect(decoded!.rejected.length).toBe(60)
    const last = originAt(decoded!.batch, rows - 61)
    expect(last).toEqual({ row: rows, line: rows + 1, byte: bytes.length - '59999,\n'.length })
    expect(decoded!.resume).toEqual({ byte: bytes.length, row: rows, line: rows + 2 })
  })

  it('makes room for text that is many times as long as its cells', () => {
    const names = Array.from({ length: 40 }, (_, i) => `${'long name '.repeat(30)}${i}`)
    const bytes = utf8(
      `${names.join()}\n${`${','.repeat(39)}\n`.repeat(200)}${`${'"\u0001\u0002"'},`.repeat(39)}\n`,
    )
    const layout = csvLayout(bytes)
    const counted = counting(csvByteDecoder({ layout }))
    expect(collect(counted.decoder, [bytes])).toEqual(collect(csvPackageDecoder({ layout }), [bytes]))
    expect(counted.texts()).toBe(201)
  })

  it('reads a huge row in small pieces without looking at it over and over, and lets its memory go', () => {
    const cell = 'x\n""y"", '.repeat(900_000)
    const csv = utf8(`a,b\n1,"${cell}"\n2,z\n`)
    const json = utf8(`[{"a":"${'}'.repeat(8_000_000)}"},{"b":1}]`)
    const started = process.cpuUsage()
    const layout = { ...csvLayout(utf8('a,b\n1,x\n')) }
    const rows = collect(csvByteDecoder({ layout }), chunks(csv, 4096)).rows
    expect(rows.map((row) => [row.a, (row.b as string).length])).toEqual([
      [1, cell.length - 2 * 900_000],
      [2, 1],
    ])
    const elements = collect(jsonArrayByteDecoder(), chunks(json, 4096)).rows
    expect(elements.map((row) => Object.keys(row))).toEqual([['a'], ['b']])
    const { user } = process.cpuUsage(started)
    expect(user / 1e6).toBeLessThan(5)
    const huge = utf8(`a,b\n1,${'"\u0001"'.repeat(3)}\n`)
    collect(csvByteDecoder({ layout, maxRowBytes: 1e9 }), [utf8(`a,b\n1,${'\u0001'.repeat(12_000_000)}\n`)])
    collect(csvByteDecoder({ layout }), [huge])
    expect(takeEngine().memory.length).toBeLessThan(16 * 1024 * 1024)
  })

  it.each([510, 511, 512])('agrees on how deep %i arrays within an element may nest', (levels) => {
    const nested = (count: number) => `{"a":${'['.repeat(count)}${']'.repeat(count)}}`
    const bytes = utf8(`[{"b":1},${nested(levels)},{"c":1},${nested(3)}]`)
    const said = collect(jsonArrayByteDecoder(), [bytes])
    expect(said.rejected.map(({ code }) => code)).toEqual(levels > 511 ? ['ETL_JSON_TOO_DEEP'] : [])
    expect(said).toEqual(collect(jsonArrayDecoder(), [bytes]))
  })

  it.each([9, 10, 11])('agrees on rows near a limit of %i bytes', (maxRowBytes) => {
    for (const text of [
      'a,b\n1234,5678\n1,2\n',
      'a,b\n1234,56789',
      'a,b\n1,"2\n""5"\n',
      'a,b\n1,2345678\r\n',
    ]) {
      const bytes = utf8(text)
      const setup = { layout: csvLayout(bytes), maxRowBytes }
      expect(collect(csvByteDecoder(setup), [bytes])).toEqual(collect(csvPackageDecoder(setup), [bytes]))
    }
    for (const text of ['[{"a":1234},{"a":12345},{}]', '[{"a":1},\n{"a": 1 \n}]']) {
      const bytes = utf8(text)
      expect(collect(jsonArrayByteDecoder({ maxRowBytes }), [bytes])).toEqual(
        collect(jsonArrayDecoder({ maxRowBytes }), [bytes]),
      )
    }
  })

  it('interleaves decoders that know nothing of each other', () => {
    const one = utf8('a,b\n1,x\n2,y\n')
    const other = utf8('[{"c":1},{"c":2},{"c":3}]')
    const third = utf8('p;q;r\n1;2;3\nu;v;w\n')
    const expected = [
      collect(csvPackageDecoder({ layout: csvLayout(one) }), [one]).rows,
      collect(jsonArrayDecoder(), [other]).rows,
      collect(csvPackageDecoder({ layout: csvLayout(third) }), [third]).rows,
    ]
    const decoders = [
      { decoder: csvByteDecoder({ layout: csvLayout(one) }), bytes: one },
      { decoder: jsonArrayByteDecoder(), bytes: other },
      { decoder: csvByteDecoder({ layout: csvLayout(third) }), bytes: third },
    ]
    const rows: unknown[][] = [[], [], []]
    const take = (index: number, decoded: ReturnType<(typeof decoders)[0]['decoder']['push']>) => {
      if (decoded === undefined) return
      rows[index]?.push(...collect({ push: () => decoded, end: () => undefined }, [other]).rows)
    }
    for (let at = 0; at < 30; at += 3) {
      decoders.forEach(({ decoder, bytes }, index) => {
        if (at < bytes.length) take(index, decoder.push(bytes.slice(at, at + 3)))
      })
    }
    decoders.forEach(({ decoder }, index) => {
      take(index, decoder.end())
    })
    expect(rows).toEqual(expected)
  })

  it('stays out of the way where it cannot run, or is told to', () => {
    process.env.INFINO_ETL_BYTE_LANE = 'off'
    expect(byteLane()).toEqual({ available: false, reason: 'INFINO_ETL_BYTE_LANE is off' })
    const bytes = utf8('a,b\n1,2\n')
    const layout = csvLayout(bytes)
    const counted = counting(csvByteDecoder({ layout, form: 'any' }))
    expect(collect(counted.decoder, [bytes]).rows).toEqual([{ a: 1, b: 2 }])
    expect(counted.texts()).toBe(0)
    const array = counting(jsonArrayByteDecoder())
    expect(collect(array.decoder, [utf8('[{"a":1}]')]).rows).toEqual([{ a: 1 }])
    expect(array.texts()).toBe(0)
  })

  it('runs for sources that are asked for any form, and not for those asked for rows', async () => {
    const csv = csvSource(file('a.csv', 'id,name\n1,x\n2,"y ""z"""\n'))
    const json = jsonSource(file('a.json', '{"data":[{"a":1},\n{"a":\n2}]}'), { path: 'data' })
    const text = async (source: typeof csv) => {
      const { batches } = await readAll(source, { form: 'any' })
      return batches.flatMap(({ text }) =>
        Array.from({ length: text?.count ?? 0 }, (_, i) =>
          Buffer.from(text!.bytes.subarray(text!.starts[i], text!.ends[i])).toString(),
        ),
      )
    }
    expect(await text(csv)).toEqual(['{"id":1,"name":"x"}', '{"id":2,"name":"y \\"z\\""}'])
    for (const source of [csv, json]) {
      const rows = await readAll(source, {})
      const any = await readAll(source, { form: 'any' })
      const told = ({ rows, positions, rejected, expected, error }: typeof any) => ({
        rows,
        positions,
        rejected,
        expected,
        error,
      })
      expect(told(any)).toEqual(told(rows))
<<<<<<< HEAD
      expect(rows.batches.every((batch) => isParsed(batch))).toBe(true)
=======
      expect(rows.batches.every(isParsed)).toBe(true)
>>>>>>> wt-wasm
    }
  })
})
