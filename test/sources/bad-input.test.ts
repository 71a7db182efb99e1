import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { Source } from '../../src/contracts.js'
import { isEtlError } from '../../src/errors.js'
import { csvSource } from '../../src/sources/csv.js'
import { fileSource } from '../../src/sources/file.js'
import { jsonSource } from '../../src/sources/json.js'
import { jsonlSource } from '../../src/sources/jsonl.js'
import { chunked, readAll, workFolder } from './reading.js'

const file = workFolder()
const folder = join(dirname(file('x', 'x')), 'folder.csv')
mkdirSync(folder)
const latin1 = Buffer.concat([Buffer.from('a,b\n1,2\n3,caf'), Buffer.from([0xe9]), Buffer.from('\n5,6\n')])
const many = 'a,b\n'.concat('1,"some text that repeats"\n'.repeat(50_000))

interface Case {
  readonly source: () => Source
  readonly code: string
  /** Parts of the message. */
  readonly says: (string | RegExp)[]
  readonly context?: Record<string, unknown>
  /** Rows that came before it. */
  readonly rows?: number
}

const cases: Record<string, Case> = {
  'a missing file': {
    source: () => csvSource('/no/such/file.csv'),
    code: 'ETL_FILE_NOT_FOUND',
    says: ['/no/such/file.csv', 'check the path'],
    context: { file: '/no/such/file.csv' },
  },
  'a glob without a match': {
    source: () => csvSource('/no/such/*.csv'),
    code: 'ETL_FILE_NOT_FOUND',
    says: ['no file matches'],
  },
  'a directory': {
    source: () => csvSource(folder),
    code: 'ETL_FILE_IS_DIRECTORY',
    says: [folder, 'glob'],
  },
  'an empty CSV file': {
    source: () => csvSource(file('empty.csv', '')),
    code: 'ETL_FILE_EMPTY',
    says: ['empty.csv', 'column names'],
  },
  'a CSV file of blank lines': {
    source: () => csvSource(file('blank.csv', '\n\r\n\n')),
    code: 'ETL_FILE_EMPTY',
    says: ['blank.csv'],
  },
  'an empty JSON file': {
    source: () => jsonSource(file('empty.json', '')),
    code: 'ETL_FILE_EMPTY',
    says: ['empty.json', '[]'],
  },
  'an unclosed quote': {
    source: () => csvSource(file('quote.csv', 'a,b\n1,2\n3,"4\n5,6\n')),
    code: 'ETL_CSV_UNCLOSED_QUOTE',
    says: ['line 3', 'quote.csv', 'close it'],
    context: { line: 3, byte: 10, row: 2 },
    rows: 1,
  },
  'text after a closing quote': {
    source: () => csvSource(file('stray.csv', 'a,b\n1,2\n"x"y,4\n5,6\n')),
    code: 'ETL_CSV_QUOTE',
    says: ['line 3', 'byte 11', 'double the quotes'],
    context: { line: 3, byte: 11, row: 2 },
    rows: 1,
  },
  'a ragged row': {
    source: () => csvSource(file('ragged.csv', 'a,b,c\n1,2,3\n1,2\n')),
    code: 'ETL_CSV_COLUMNS',
    says: ['expected 3 cells, got 2', 'ragged.csv', 'line 3'],
    context: { line: 3, byte: 12, row: 2 },
    rows: 1,
  },
  'a cell of another type under strict': {
    source: () => csvSource(file('strict.csv', 'a,b\n1,2\nx,3\n'), { types: { a: 'bigint' }, strict: true }),
    code: 'ETL_CSV_TYPE',
    says: ['a bigint in column a', '"x"', 'line 3'],
    rows: 1,
  },
  'a declared column that is not there': {
    source: () => csvSource(file('unknown.csv', 'a,b\n1,2\n'), { types: { c: 'string' } }),
    code: 'ETL_CSV_COLUMN_UNKNOWN',
    says: ['"c"', '"a", "b"'],
  },
  'truncated gzip': {
    source: () => csvSource(file('cut.csv.gz', gzipSync(many).subarray(0, 2000)), { maxRatio: 10_000 }),
    code: 'ETL_COMPRESSED_TRUNCATED',
    says: ['cut.csv.gz', 'gzip', 'incomplete'],
  },
  'truncated brotli': {
    source: () =>
      jsonlSource(
        file('cut.jsonl.br', brotliCompressSync(`{"a":"${many.replaceAll(/[\n"]/g, '')}"}`).subarray(0, 40)),
      ),
    code: 'ETL_COMPRESSED_TRUNCATED',
    says: ['cut.jsonl.br', 'brotli'],
  },
  'broken gzip': {
    source: () => {
      const bytes = gzipSync(many)
      bytes.fill(0xff, 30, 60)
      return csvSource(file('broken.csv.gz', bytes))
    },
    code: 'ETL_COMPRESSED_BROKEN',
    says: ['broken.csv.gz', 'gzip'],
  },
  'a decompression bomb': {
    source: () =>
      jsonlSource(file('bomb.gz', gzipSync(Buffer.alloc(40 * 1024 * 1024, `{}${' '.repeat(8000)}\n`)))),
    code: 'ETL_COMPRESSED_TOO_LARGE',
    says: ['bomb.gz', 'maxRatio'],
  },
  'more decompressed bytes than allowed': {
    source: () => csvSource(file('large.gz', gzipSync(many)), { maxDecodedBytes: 1000 }),
    code: 'ETL_COMPRESSED_TOO_LARGE',
    says: ['maxDecodedBytes'],
  },
  'another container': {
    source: () => fileSource(file('x.zip', Buffer.from('PK\u0003\u0004\u0000\u0000\u0000\u0000', 'latin1'))),
    code: 'ETL_FORMAT_UNSUPPORTED',
    says: ['zip archive'],
  },
  'broken JSON': {
    source: () => jsonSource(file('broken.json', '[{"a":1},\n{"a":2,}]')),
    code: 'ETL_JSON_BROKEN',
    says: ['byte 17', 'line 2', 'broken.json', 'a key in quotes'],
    context: { byte: 17, line: 2, row: 2 },
    rows: 1,
  },
  'JSON cut short': {
    source: () => jsonSource(file('short.json', '[{"a":1},{"a":2')),
    code: 'ETL_JSON_BROKEN',
    says: ['byte 15', 'the end of the input'],
    context: { byte: 15 },
    rows: 1,
  },
  'a JSON document that is an object': {
    source: () => jsonSource(file('top.json', '{"type":"x","box":[1,2],"nodes":[{"a":1}]}')),
    code: 'ETL_JSON_NOT_ARRAY',
    says: ['an object', '"type", "box", "nodes"', 'path: "nodes"'],
  },
  'a JSON document that is a single object': {
    source: () => jsonSource(file('single.json', '{"a":1,"b":"x"}')),
    code: 'ETL_JSON_NOT_ARRAY',
    says: ['"a", "b"', 'jsonl'],
  },
  'a JSON document that is a number': {
    source: () => jsonSource(file('number.json', '12')),
    code: 'ETL_JSON_NOT_ARRAY',
    says: ['a number'],
  },
  'a path that is not there': {
    source: () => jsonSource(file('path.json', '{"a":{"b":1}}'), { path: 'a.c' }),
    code: 'ETL_JSON_PATH',
    says: ['a.c', '"a"'],
  },
  'a broken line': {
    source: () => jsonlSource(file('line.jsonl', '{"a":1}\n{"a":}\n')),
    code: 'ETL_JSON_BROKEN',
    says: ['byte 13', 'line 2', 'column 6', 'line.jsonl'],
    context: { row: 2, line: 2, byte: 8 },
    rows: 1,
  },
  'a line that is no object': {
    source: () => jsonlSource(file('null.jsonl', '{"a":1}\nnull\n')),
    code: 'ETL_JSONL_NOT_OBJECT',
    says: ['got null', 'line 2'],
    rows: 1,
  },
  'invalid UTF-8': {
    source: () => csvSource(file('latin1.csv', latin1)),
    code: 'ETL_TEXT_INVALID',
    says: ['byte 13', 'e9', 'row 2', 'line 3', 'windows-1252'],
    context: { byte: 13, row: 2, line: 3 },
    rows: 1,
  },
  'invalid UTF-8 in a line': {
    source: () => jsonlSource(file('bad.jsonl', Buffer.from('7b7d0a7b2261223a22c328227d0a', 'hex'))),
    code: 'ETL_TEXT_INVALID',
    says: ['byte 9', 'c3 28'],
    context: { byte: 9, row: 2, line: 2 },
    rows: 1,
  },
  'half a character at the end': {
    source: () =>
      jsonlSource(file('half.jsonl', Buffer.from('{}\n{"a":"é'.slice(0, -1).concat('\u00c3'), 'latin1'))),
    code: 'ETL_TEXT_INVALID',
    says: ['byte 9'],
  },
  'a lone surrogate in UTF-16': {
    source: () =>
      csvSource(
        file(
          'lone.csv',
          Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('a\n1\n\ud800x\n', 'utf16le')]),
        ),
      ),
    code: 'ETL_TEXT_INVALID',
    says: ['utf-16le', 'byte 10'],
  },
  'a CSV row over the limit': {
    source: () => csvSource(file('long.csv', `a,b\n1,2\n3,"${'x'.repeat(3000)}`), { maxRowBytes: 1000 }),
    code: 'ETL_ROW_TOO_LARGE',
    says: ['1000 bytes', 'a quote opened on line 3', 'maxRowBytes'],
    context: { line: 3, row: 2 },
    rows: 1,
  },
  'a line over the limit': {
    source: () =>
      jsonlSource(file('long.jsonl', `{"a":1}\n{"a":"${'x'.repeat(3000)}"}\n`), { maxRowBytes: 1000 }),
    code: 'ETL_ROW_TOO_LARGE',
    says: ['1000 bytes', 'line 2', 'maxRowBytes'],
    rows: 1,
  },
  'a JSON element over the limit': {
    source: () =>
      jsonSource(file('long.json', `[{"a":1},{"a":"${'x'.repeat(3000)}"}]`), { maxRowBytes: 1000 }),
    code: 'ETL_ROW_TOO_LARGE',
    says: ['1000 bytes', 'row 2'],
    rows: 1,
  },
  'a stream that fails': {
    source: () =>
      jsonlSource(
        (async function* () {
          yield Buffer.from('{"a":1}\n{"b"')
          throw new Error('socket closed')
        })(),
      ),
    code: 'ETL_STREAM_FAILED',
    says: ['socket closed', 'after 12 bytes'],
    rows: 1,
  },
  'a stream of rows': {
    source: () => jsonlSource([{ a: 1 }].values() as unknown as Iterable<Uint8Array>),
    code: 'ETL_STREAM_CHUNK',
    says: ['chunks of bytes', 'fromReadable'],
  },
}

describe('bad input ends in an error that says where and what to do', () => {
  it.each(Object.entries(cases))('%s', async (_name, { source, code, says, context, rows }) => {
    const reading = await readAll(source(), { strict: true })
    const { error } = reading
    expect(error).toSatisfy(isEtlError)
    expect({ code: error?.code, message: error?.message }).toMatchObject({ code })
    for (const part of says)
      expect(error?.message).toMatch(part instanceof RegExp ? part : new RegExp(escapeText(part)))
    if (context !== undefined) expect(error?.context).toMatchObject(context)
    if (rows !== undefined) expect(reading.rows.length).toBe(rows)
    expect(reading.expected).toBeUndefined()
  })
})

describe('input that looks bad and is fine', () => {
  it('a CSV file with a header only has no rows', async () => {
    const reading = await readAll(csvSource(file('header.csv', 'a,b\n')))
    expect(reading).toMatchObject({ rows: [], expected: 0, error: undefined })
  })

  it('an empty JSON Lines file has no rows', async () => {
    expect(await readAll(jsonlSource(file('empty.jsonl', '')))).toMatchObject({
      rows: [],
      expected: 0,
      error: undefined,
    })
  })

  it('an empty CSV file has no rows where no header is expected', async () => {
    const source = csvSource(file('none.csv', ''), { header: false })
    expect(await readAll(source)).toMatchObject({ rows: [], expected: 0, error: undefined })
  })

  it('duplicate, empty and dangerous column names become own columns', async () => {
    const { rows } = await readAll(
      csvSource(file('names.csv', '__proto__,,a,a,a_2,constructor,\n1,2,3,4,5,6,7\n')),
    )
    expect(Object.entries(rows[0] as object)).toEqual([
      ['__proto__', 1],
      ['column_2', 2],
      ['a', 3],
      ['a_3', 4],
      ['a_2', 5],
      ['constructor', 6],
      ['column_7', 7],
    ])
    expect(Object.getPrototypeOf(rows[0])).toBe(Object.prototype)
    expect(({} as Record<string, unknown>).column_2).toBeUndefined()
  })

  it('surplus and missing cells can be filled instead of rejected', async () => {
    const { rows } = await readAll(csvSource(file('fill.csv', 'a,b\n1\n1,2,x,y\n1,2\n'), { ragged: 'fill' }))
    expect(rows).toEqual([
      { a: 1, b: null },
      { a: 1, b: 2, column_3: 'x', column_4: 'y' },
      { a: 1, b: 2 },
    ])
  })

  it('windows-1252 is read when it is named', async () => {
    const { rows } = await readAll(csvSource(file('named.csv', latin1), { encoding: 'windows-1252' }))
    expect(rows[1]).toEqual({ a: 3, b: 'café' })
  })

  it('rejected rows are handed over in order with their places, and reading goes on', async () => {
    const text = '{"a":1}\nnull\n{"a":2}\n{"a"\n\n{"a":3}\n'
    const { rows, rejected, positions, expected } = await readAll(jsonlSource(chunked(Buffer.from(text), 5)))
    expect(rows).toEqual([{ a: 1 }, { a: 2 }, { a: 3 }])
    expect(
      rejected.map(({ code, position }) => [code, position?.row, position?.line, position?.byte]),
    ).toEqual([
      ['ETL_JSONL_NOT_OBJECT', 2, 2, 8],
      ['ETL_JSON_BROKEN', 4, 4, 21],
    ])
    expect(positions.map((position) => position?.row)).toEqual([1, 3, 5])
    // A stream has no size to prove the end with.
    expect(expected).toBeUndefined()
  })
})

it('one line of 300 MB ends in a named error while memory stays flat', async () => {
  const block = Buffer.alloc(256 * 1024, 'x')
  async function* endless(start: string): AsyncGenerator<Uint8Array> {
    yield Buffer.from(start)
    for (let bytes = 0; bytes < 300 * 1024 * 1024; bytes += block.length) yield block
  }
  const before = process.memoryUsage().rss
  for (const source of [
    jsonlSource(endless('{"a":"')),
    csvSource(endless('a,b\n1,"')),
    jsonSource(endless('[{"a":"')),
    jsonSource(endless('{"a":"')),
  ]) {
    const { error } = await readAll(source, { strict: true })
    expect(error?.code).toBe('ETL_ROW_TOO_LARGE')
  }
  expect(process.memoryUsage().rss - before).toBeLessThan(250 * 1024 * 1024)
})

function escapeText(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
