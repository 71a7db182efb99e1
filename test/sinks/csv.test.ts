import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { memoryCheckpoint } from '../../src/checkpoint.js'
import type { Row } from '../../src/contracts.js'
import { from } from '../../src/pipeline.js'
import { type CsvSinkOptions, csvSink } from '../../src/sinks/csv.js'
import { memorySink } from '../../src/sinks/memory.js'
import { csvSource } from '../../src/sources/csv.js'
import { rowsSource } from '../../src/testing/rows-source.js'
import { workFolder } from '../support/folder.js'

const folder = workFolder()
const path = folder.path('out.csv')

async function write(rows: readonly Row[], options: CsvSinkOptions = {}, onError: 'fail' | 'skip' = 'fail') {
  const report = await from(rowsSource(rows)).to(csvSink(path, options)).run({ onError })
  return { text: readFileSync(path, 'utf8'), report }
}

describe('csvSink', () => {
  it('writes values as CSV knows them', async () => {
    const date = new Date('2024-02-29T12:00:00Z')
    const row = {
      a: null,
      b: undefined,
      c: '',
      d: 1.5,
      e: true,
      f: 12345678901234567890n,
      g: date,
      h: { x: [1] },
      i: [],
      j: Number.NaN,
    }
    const { text } = await write([row])
    expect(text).toBe(
      'a,b,c,d,e,f,g,h,i,j\n,,"",1.5,true,12345678901234567890,2024-02-29T12:00:00.000Z,"{""x"":[1]}",[],\n',
    )
  })

  it('takes delimiter, quote, line end and header as told', async () => {
    const rows = [{ a: "it's; ok", b: 'x"y' }]
    const { text } = await write(rows, { delimiter: ';', quote: "'", eol: '\r\n', header: false })
    expect(text).toBe("'it''s; ok';x\"y\r\n")
  })

  it('takes its columns from the first row; one without some of them has empty cells', async () => {
    const { text } = await write([{ a: 1, b: 2 }, { b: 3 }, { b: 4, a: 5 }, {}])
    expect(text).toBe('a,b\n1,2\n,3\n5,4\n,\n')
  })

  it('rejects a row with a column that the file does not have, and writes the others', async () => {
    const { text, report } = await write([{ a: 1 }, { a: 2, b: 3 }, { c: 1 }, { a: 4 }], {}, 'skip')
    expect(text).toBe('a\n1\n4\n')
    expect(report.rejectedByCode).toEqual({ ETL_CSV_COLUMNS: 2 })
    expect(report.rejectedRows[0]).toMatchObject({ row: { a: 2, b: 3 }, position: { row: 2 }, by: 'csv' })
    expect(report.rejectedRows[0]?.reason).toContain('"b"')
  })

  it('does not take what every object inherits for a value', async () => {
    const { text } = await write([{ constructor: 'x', toString: 'y' }, {}])
    expect(text).toBe('constructor,toString\nx,y\n,\n')
  })

  it('keeps text from being run as a formula, and numbers from being changed', async () => {
    const cells = ['=1+1', '+cmd', '-x', '@sum', '\tx', '\uff1dx', '-12.50', '+1e5', 'a=b', "'=x"]
    const { text } = await write(cells.map((cell) => ({ cell })))
    expect(text.split('\n').slice(1, -1)).toEqual([
      "'=1+1",
      "'+cmd",
      "'-x",
      "'@sum",
      "'\tx",
      "'\uff1dx",
      '-12.50',
      '+1e5',
      'a=b',
      "'=x",
    ])
    expect((await write([{ '=cmd': '=1+1', n: -5 }], { formulas: 'keep' })).text).toBe('=cmd,n\n=1+1,-5\n')
    expect((await write([{ '=cmd': '=1+1', n: -5 }])).text).toBe("'=cmd,n\n'=1+1,-5\n")
  })

  it('writes the header of a file without rows where it knows the columns', async () => {
    expect((await write([], { columns: ['b', 'a'] })).text).toBe('b,a\n')
    expect((await write([], { columns: ['b', 'a'], header: false })).text).toBe('')
  })

  it('keeps the columns of the first row in the checkpoint', async () => {
    const store = memoryCheckpoint()
    const rows = [{ a: 1, b: 2 }, { a: 3, b: 4 }, { b: 5 }, { a: 6 }]
    const run = (failAfterRows?: number) =>
      from(rowsSource<Row>(rows, { batchRows: 1, failAfterRows }))
        .to(csvSink(path))
        .run({ checkpoint: store, checkpointEveryMs: 0 })
    await expect(run(2)).rejects.toThrow()
    await run()
    expect(readFileSync(path, 'utf8')).toBe('a,b\n1,2\n3,4\n,5\n6,\n')
  })

  it('gives back through csvSource what went in', async () => {
    const cell = fc.oneof(
      fc.constant(null),
      fc.string(),
      fc.string({ unit: fc.constantFrom('"', ',', '\n', '\r', "'", ' ', '\ufeff', 'é', ';', '=') }),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 6 }),
        fc.constantFrom(',', ';', '\t', '||'),
        fc.constantFrom('\n' as const, '\r\n' as const),
        async (cells, delimiter, eol) => {
          const rows = cells.map(([x, y]) => ({ x, y }))
          await write(rows, { delimiter, eol, formulas: 'keep' })
          const back = memorySink<Row>()
          await from(csvSource(path, { delimiter, types: false }))
            .to(back)
            .run()
          expect(back.rows).toEqual(rows)
        },
      ),
      { numRuns: 150 },
    )
  })

  it.each([
    [{ quote: 'ab' }, 'quote'],
    [{ quote: 'a' }, 'quote'],
    [{ delimiter: '' }, 'delimiter'],
    [{ delimiter: '"' }, 'delimiter'],
    [{ columns: [] }, 'columns'],
    [{ columns: ['a', 'a'] }, 'columns'],
    [{ eol: '\r' as '\n' }, 'eol'],
    [{ formulas: 'no' as 'keep' }, 'formulas'],
  ])('refuses %j when it is made', (options, name) => {
    expect(() => csvSink('x.csv', options)).toThrow(new RegExp(`option ${name}`))
  })
})
