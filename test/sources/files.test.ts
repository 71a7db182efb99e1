import { spawnSync } from 'node:child_process'
import { appendFileSync, closeSync, constants, openSync, utimesSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { isParsed, rowAt } from '../../src/batch.js'
import type { Cursor, Source } from '../../src/contracts.js'
import type { CsvSourceOptions } from '../../src/sources/csv.js'
import { csvSource } from '../../src/sources/csv.js'
import { fileSource } from '../../src/sources/file.js'
import type { FileInput } from '../../src/sources/files/input.js'
import { jsonSource } from '../../src/sources/json.js'
import { jsonlSource } from '../../src/sources/jsonl.js'
import { chunked, readAll, workFolder } from './reading.js'

const file = workFolder()
const folder = dirname(file('x', 'x'))
const count = 300
const numbers = Array.from({ length: count }, (_, i) => i + 1)
const csvText = `id,näme,"with ""quote"""\r\n${numbers.map((i) => `${i},"é\r\n${i}",${i % 7 === 0 ? '' : i / 4}\r\n`).join('')}`
const jsonlText = numbers
  .map((i) => `{"id":${i},"name":"é\u2028${i}"}\n${i % 50 === 0 ? '\nnull\n' : ''}`)
  .join('')
const jsonText = `[\n${numbers.map((i) => (i % 50 === 0 ? `${i}` : `{"id":${i},\n"list":[{"}":"]"}]}`)).join(' ,\n')}\n]\n`
const utf16 = (text: string) => Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, 'utf16le')])
const utf16be = (text: string) => Buffer.from(utf16(text)).swap16()
const marked = (text: string) => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(text)])

const kinds: Record<string, { text: string; read: (input: FileInput) => Source }> = {
  csv: { text: csvText, read: (input) => csvSource(input, { chunkBytes: 512 }) },
  json: { text: jsonText, read: (input) => jsonSource(input, { chunkBytes: 512 }) },
  jsonl: { text: jsonlText, read: (input) => jsonlSource(input, { chunkBytes: 512 }) },
}
const forms: Record<string, (text: string) => Uint8Array> = {
  plain: (text) => Buffer.from(text),
  marked,
  'utf-16le': utf16,
  'utf-16be': utf16be,
  'utf-16le without a mark': (text) => Buffer.from(text, 'utf16le'),
  gzip: (text) => gzipSync(text),
  'gzip in several members': (text) => {
    const bytes = Buffer.from(text)
    return Buffer.concat([gzipSync(bytes.subarray(0, 1001)), gzipSync(bytes.subarray(1001)), Buffer.alloc(8)])
  },
  'brotli without its name': (text) => brotliCompressSync(text),
  'gzip of utf-16': (text) => gzipSync(utf16(text)),
}
const all = Object.keys(kinds).flatMap((kind) =>
  Object.keys(forms).map((form): [string, string] => [kind, form]),
)

describe('every form of a file', () => {
  it.each(all)(
    '%s, %s: gives the same rows, proves its end, and can be resumed at every cursor',
    async (kind, form) => {
      const { text, read } = kinds[kind] as (typeof kinds)[string]
      const path = file(
        `${kind}-${form.replaceAll(' ', '-')}`,
        (forms[form] as (text: string) => Uint8Array)(text),
      )
      const plain = await readAll(read(Buffer.from(text)))
      const whole = await readAll(read(path))
      expect(whole.error).toBeUndefined()
      expect(whole.rows).toEqual(plain.rows)
      expect(whole.rows.length + whole.rejected.length).toBe(kind === 'jsonl' ? count + 6 : count)
      expect(whole.expected).toBe(whole.rows.length + whole.rejected.length)
      expect(whole.progress.at(-1)?.[0]).toBe(whole.progress.at(-1)?.[1])
      expect(whole.cursors.length).toBeGreaterThan(1)
      for (const { cursor, rows, rejected } of whole.cursors) {
        const rest = await readAll(read(path), { from: cursor })
        expect(rest.error).toBeUndefined()
        expect(rest.rows).toEqual(whole.rows.slice(rows))
        expect(rest.positions).toEqual(whole.positions.slice(rows))
        expect(rest.rejected).toEqual(whole.rejected.slice(rejected))
        expect(rest.expected).toBe(whole.expected)
      }
    },
  )

  it('positions name the byte of the file that a row starts at', async () => {
    const bytes = marked(csvText)
    const { positions } = await readAll(csvSource(file('places.csv', bytes), { chunkBytes: 100 }))
    positions.forEach((position, index) => {
      expect(
        bytes
          .subarray(position?.byte)
          .toString()
          .startsWith(`${index + 1},"é`),
      ).toBe(true)
      expect(position?.line).toBe(index * 2 + 2)
      expect(position?.row).toBe(index + 1)
    })
  })
})

describe('a cursor', () => {
  const text = 'a,b\n'.concat(numbers.map((i) => `${i},x\n`).join(''))
  const first = async (path: string): Promise<Cursor> => {
    const { cursors } = await readAll(csvSource(path, { chunkBytes: 256 }))
    return cursors[0]?.cursor as Cursor
  }
  const resumed = async (input: FileInput, from: Cursor) =>
    (await readAll(csvSource(input), { from })).error?.code

  it('is refused when the file has grown, was rewritten, or is gone', async () => {
    const grown = file('grown.csv', text)
    const grownCursor = await first(grown)
    appendFileSync(grown, '9,9\n')
    expect(await resumed(grown, grownCursor)).toBe('ETL_FILE_CHANGED')
    const touched = file('touched.csv', text)
    const touchedCursor = await first(touched)
    utimesSync(touched, 1, 1)
    expect(await resumed(touched, touchedCursor)).toBe('ETL_FILE_CHANGED')
    expect(await resumed(file('other.csv', text), touchedCursor)).toBe('ETL_FILE_CHANGED')
  })

  it('is refused for a stream, and by its form', async () => {
    const cursor = await first(file('seen.csv', text))
    expect(await resumed(Readable.from([Buffer.from(text)]), cursor)).toBe('ETL_SOURCE_NOT_RESUMABLE')
    expect(await resumed('-', cursor)).toBe('ETL_SOURCE_NOT_RESUMABLE')
    expect(await resumed(join(folder, 'seen.csv'), { page: 3 })).toBe('ETL_CURSOR_INVALID')
    expect((await readAll(csvSource(Readable.from([Buffer.from(text)])))).cursors).toEqual([])
  })

  it('keeps the types of the sample, even where the rest would show others', async () => {
    const path = file('types.csv', `a\n${numbers.join('\n')}\n`)
    const options: CsvSourceOptions = { chunkBytes: 64, sampleRows: 5 }
    const { cursors } = await readAll(csvSource(path, options))
    const { rows } = await readAll(csvSource(path, { ...options, types: false }), {
      from: cursors[0]?.cursor,
    })
    expect(typeof rows[0]?.a).toBe('number')
  })
})

describe('several files', () => {
  file('part-b.csv', 'id,x\n3,1.5\n4,2\n')
  file('part-a.csv', 'id,x\n1,1\n2,2\n')
  file('part-c.csv', 'x,id\nword,5\n')
  const glob = join(folder, 'part-*.csv')

  it('are read in the order of their names, with one type per column', async () => {
    const { rows, expected } = await readAll(csvSource(glob))
    expect(rows).toEqual([
      { id: 1, x: '1' },
      { id: 2, x: '2' },
      { id: 3, x: '1.5' },
      { id: 4, x: '2' },
      { x: 'word', id: 5 },
    ])
    expect(expected).toBe(5)
    const schema = await csvSource(glob).schema?.({})
    expect(schema?.columns.map(({ name, type }) => [name, type])).toEqual([
      ['id', 'bigint'],
      ['x', 'string'],
    ])
  })

  it('are one partition each, which need nothing but themselves', async () => {
    const source = csvSource(glob)
    const partitions = JSON.parse(JSON.stringify(await source.partitions?.({}))) as { id: string }[]
    expect(partitions.map(({ id }) => id)).toEqual(['0', '1', '2'])
    const readings = await Promise.all(partitions.map((partition) => readAll(csvSource(glob), { partition })))
    expect(readings.flatMap(({ rows }) => rows)).toEqual((await readAll(source)).rows)
    expect(readings.map(({ expected }) => expected)).toEqual([2, 2, 1])
  })

  it('are resumed within and between them when they are read as one', async () => {
    const source = csvSource(glob, { chunkBytes: 8 })
    const whole = await readAll(source)
    for (const { cursor, rows } of whole.cursors) {
      const rest = await readAll(csvSource(glob, { chunkBytes: 8 }), { from: cursor })
      expect(rest.rows).toEqual(whole.rows.slice(rows))
      expect(rest.expected).toBe(5)
    }
  })

  it('a path that exists is not a glob, and a file named twice is read once', async () => {
    const odd = file('a[1]*.csv', 'a\n1\n')
    file('a1x.csv', 'a\n2\n')
    expect((await readAll(csvSource(odd))).rows).toEqual([{ a: 1 }])
    expect((await readAll(csvSource([odd, pathToFileURL(odd), odd]))).rows).toEqual([{ a: 1 }])
  })
})

describe('fileSource', () => {
  it('tells the format by name, then by content', async () => {
    const rows = [{ a: 1, b: 'x' }]
    const inputs: [string, string | Uint8Array][] = [
      ['f1.csv', 'a,b\n1,x\n'],
      ['f2.tsv', 'a\tb\n1\tx\n'],
      ['f3.ndjson', '{"a":1,"b":"x"}'],
      ['f4.json', '[{"a":1,"b":"x"}]'],
      ['f5', 'a;b\n1;x\n'],
      ['f6', '{"a":1,"b":"x"}\n'],
      ['f7.txt', ' [{"a":1,"b":"x"}]'],
      ['f8.csv.gz', gzipSync('a|b\n1|x\n')],
      ['f9', utf16('a,b\n1,x\n')],
    ]
    for (const [name, content] of inputs) {
      expect((await readAll(fileSource(file(name, content)))).rows, name).toEqual(rows)
    }
    const mixed = await readAll(fileSource(inputs.map(([name]) => join(folder, name))))
    expect(mixed.rows).toEqual(inputs.flatMap(() => rows))
  })
})

describe('streams', () => {
  it('are read from Readables, iterables, text and bytes alike', async () => {
    const bytes = Buffer.from(csvText)
    const { rows } = await readAll(csvSource(bytes))
    expect((await readAll(csvSource(Readable.from(chunked(bytes, 77))))).rows).toEqual(rows)
    expect((await readAll(csvSource(chunked(bytes, 1)))).rows).toEqual(rows)
    expect((await readAll(csvSource([bytes.subarray(0, 5), bytes.subarray(5)]))).rows).toEqual(rows)
    expect((await readAll(csvSource(Readable.from([csvText])))).rows).toEqual(rows)
  })

  it('keep their rows when the giver fills its buffer anew', async () => {
    async function* reusing(): AsyncGenerator<Uint8Array> {
      const buffer = Buffer.alloc(10)
      for (const text of ['{"a":1}\n{"', 'a":2}\n    ', '{"a":3}\n  ']) {
        buffer.write(text)
        yield buffer
      }
    }
    const { batches } = await readAll(jsonlSource(reusing()), { form: 'any' })
    expect(batches.some((batch) => !isParsed(batch))).toBe(true)
    expect(
      batches.flatMap((batch) => Array.from({ length: batch.text?.count ?? 0 }, (_, i) => rowAt(batch, i))),
    ).toEqual([{ a: 1 }, { a: 2 }, { a: 3 }])
  })

  it('are read once', async () => {
    const source = jsonlSource(Readable.from([Buffer.from('{"a":1}\n')]))
    expect((await readAll(source)).rows.length).toBe(1)
    expect((await readAll(source)).error?.code).toBe('ETL_SOURCE_CONSUMED')
  })

  it('are let go of on an early return, and an abort ends a wait at once', async () => {
    const readable = Readable.from(chunked(Buffer.from(jsonlText), 100))
    for await (const _ of jsonlSource(readable).read({})) break
    expect(readable.destroyed).toBe(true)

    const controller = new AbortController()
    const silent = new Readable({ read() {} })
    silent.push('{"a":1}\n')
    const reading = readAll(jsonlSource(silent), { signal: controller.signal })
    setImmediate(() => controller.abort())
    expect((await reading).error?.code).toBe('ETL_ABORTED')
    expect(silent.destroyed).toBe(true)
  })

  it('a slow stream gives its first rows before it ends', async () => {
    const slow = new Readable({ read() {} })
    slow.push('a,b\n1,2\n3,4\n')
    const seen: unknown[] = []
    for await (const batch of csvSource(slow, { sampleAgeMs: 20 }).read({})) {
      if (seen.length === 0) slow.push(null)
      seen.push(...batch.rows)
    }
    expect(seen).toEqual([
      { a: 1, b: 2 },
      { a: 3, b: 4 },
    ])
  })

  it('a named pipe is read like a stream', async () => {
    const pipe = join(folder, 'pipe')
    if (spawnSync('mkfifo', [pipe]).status !== 0) return
    const reading = readAll(jsonlSource(pipe))
    await writeFile(pipe, '{"a":1}\n{"a":2}\n')
    expect(await reading).toMatchObject({ rows: [{ a: 1 }, { a: 2 }], cursors: [], expected: undefined })
  })

  it('an abort ends the wait for a named pipe that nobody writes to', async () => {
    const pipe = join(folder, 'silent-pipe')
    if (spawnSync('mkfifo', [pipe]).status !== 0) return
    const controller = new AbortController()
    const reading = readAll(jsonlSource(pipe), { signal: controller.signal })
    setImmediate(() => controller.abort())
    expect((await reading).error?.code).toBe('ETL_ABORTED')
    // Lets the open that still waits come to its end.
    closeSync(openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK))
  })
})

describe('cells', () => {
  const cells = async (text: string, options?: CsvSourceOptions) =>
    (await readAll(csvSource(Buffer.from(text), options))).rows

  it('numbers are what JSON calls a number; what would lose a digit stays text', async () => {
    const column = async (values: string[]) => (await cells(`v\n${values.join('\n')}\n`)).map((row) => row.v)
    expect(await column(['1', '-12', '0'])).toEqual([1, -12, 0])
    expect(await column(['1', '9223372036854775807'])).toEqual([1, 9223372036854775807n])
    expect(await column(['1', '9223372036854775808'])).toEqual(['1', '9223372036854775808'])
    expect(await column(['1', '12.50', '1e5', '-0.5E-2'])).toEqual([1, 12.5, 100000, -0.005])
    for (const odd of ['01234', '+1', '.5', '5.', 'NaN', '1e400', '0x1F', '1_000', ' 1', 'Infinity', '1,5']) {
      expect(await column(['1', odd].map((value) => `"${value}"`)), odd).toEqual(['1', odd])
    }
    expect(await column(['1.5', '9007199254740993'])).toEqual(['1.5', '9007199254740993'])
    expect(await column(['true', 'FALSE'])).toEqual([true, false])
    expect(await column(['true', '1'])).toEqual(['true', '1'])
    expect(await column(['2024-02-29', '1999-12-31'])).toEqual(['2024-02-29', '1999-12-31'])
  })

  it('an empty cell is null, and a quoted empty one an empty text in a column of text', async () => {
    expect(await cells('n,s\n1,x\n,\n"",""\n')).toEqual([
      { n: 1, s: 'x' },
      { n: null, s: null },
      { n: null, s: '' },
    ])
  })

  it('a later cell that does not fit stays text and is told once per column', async () => {
    const warnings: unknown[] = []
    const log = {
      debug: () => {},
      info: () => {},
      warn: (_: string, fields?: object) => warnings.push(fields),
    }
    const source = csvSource(Buffer.from('a\n1\n2\nx\ny\n'), { sampleRows: 2 })
    expect((await readAll(source, { log })).rows.map((row) => row.a)).toEqual([1, 2, 'x', 'y'])
    expect(warnings).toEqual([{ file: 'bytes', column: 'a', cells: 2 }])
  })

  it('declared types win, and false means text', async () => {
    expect(await cells('a,b\n01,1\n2,2\n', { types: { b: 'string', a: 'bigint' } })).toEqual([
      { a: '01', b: '1' },
      { a: 2, b: '2' },
    ])
    expect(await cells('a,b\n1,true\n', { types: false })).toEqual([{ a: '1', b: 'true' }])
  })

  it('delimiters are told from the text', async () => {
    expect(await cells('a;b\n"1,2,3";x\n')).toEqual([{ a: '1,2,3', b: 'x' }])
    expect(await cells('a|b|c\n1|2|3\n')).toEqual([{ a: 1, b: 2, c: 3 }])
    expect(await cells('single\n1\n')).toEqual([{ single: 1 }])
  })

  it('a header is taken, named, or guessed', async () => {
    expect(await cells('1,2\n', { header: false })).toEqual([{ column_1: 1, column_2: 2 }])
    expect(await cells('1,2\n', { columns: ['x', 'y'] })).toEqual([{ x: 1, y: 2 }])
    expect(await cells('a,b\n1,2\n', { columns: ['x', 'y'], header: true })).toEqual([{ x: 1, y: 2 }])
    expect(await cells('1,2\n3,4\n', { header: 'auto' })).toHaveLength(2)
    expect(await cells('a,b\n3,4\n', { header: 'auto' })).toEqual([{ a: 3, b: 4 }])
  })
})

it('options are checked when a source is built', () => {
  const wrong: [string, () => unknown][] = [
    ['delimiter', () => csvSource('x', { delimiter: '' })],
    ['delimiter', () => csvSource('x', { delimiter: '"' })],
    ['types.a', () => csvSource('x', { types: { a: 'number' as 'string' } })],
    ['ragged', () => csvSource('x', { ragged: 'drop' as 'fill' })],
    ['chunkBytes', () => jsonlSource('x', { chunkBytes: 0 })],
    ['encoding', () => jsonlSource('x', { encoding: 'klingon' })],
    ['path', () => jsonSource('x', { path: '' })],
    ['format', () => fileSource('x', { format: 'xml' as 'csv' })],
    ['input', () => csvSource([])],
    ['input', () => csvSource(7 as unknown as string)],
  ]
  for (const [option, make] of wrong)
    expect(make).toThrow(new RegExp(`^option ${option.replace('.', '\\.')}: expected`))
})

it('a limit stops the reading early', async () => {
  const path = file('limit.csv', csvText)
  const reading = await readAll(csvSource(path, { chunkBytes: 512 }), { limit: 10 })
  expect(reading.rows.length).toBe(10)
  expect(reading.expected).toBeUndefined()
  expect(reading.progress.length).toBeLessThan(4)
})
