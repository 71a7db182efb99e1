import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { memoryCheckpoint } from '../../src/checkpoint.js'
import type { BodySink, Row } from '../../src/contracts.js'
import { isEtlError } from '../../src/errors.js'
import { from } from '../../src/pipeline.js'
import { deadLetter } from '../../src/rejections.js'
import { csvSink } from '../../src/sinks/csv.js'
import { jsonlSink } from '../../src/sinks/jsonl.js'
import { rowsSource } from '../../src/testing/rows-source.js'
import { workFolder } from '../support/folder.js'

const folder = workFolder()
const rows = Array.from({ length: 500 }, (_, n) => ({ n, text: `row "${n}"` }))
const asJsonl = rows.map((row) => `${JSON.stringify(row)}\n`).join('')
const asCsv = `n,text\n${rows.map(({ n }) => `${n},"row ""${n}"""\n`).join('')}`

const codeOf = async (work: Promise<unknown>) => {
  try {
    await work
    return 'no error'
  } catch (error) {
    return isEtlError(error) ? error.code : error
  }
}

/** A run that breaks off after a save, with rows on disk that no checkpoint knows. */
async function breakOff(whole: BodySink, store = memoryCheckpoint()) {
  const sink = { ...whole, limits: { ...whole.limits, rows: 50 } }
  const failing = rowsSource<Row>(rows, { batchRows: 50, failAfterRows: 300 })
  const code = await codeOf(from(failing).to(sink).run({ checkpoint: store, checkpointEveryMs: 0 }))
  expect(code).toBe('ETL_TEST_FAULT')
  const { sinkState } = JSON.parse(store.text() as string) as { sinkState: { length: number } }
  expect(sinkState.length).toBeGreaterThan(500)
  return store
}

describe.each([
  ['jsonl', (path: string, gzip: boolean): BodySink => jsonlSink(path, { gzip }), asJsonl],
  ['csv', (path: string, gzip: boolean): BodySink => csvSink(path, { gzip }), asCsv],
])('a %s file', (kind, make, wanted) => {
  const run = (sink: BodySink) => from(rowsSource<Row>(rows)).to(sink).run()

  it('is in its place when the run has ended, and beside it before', async () => {
    const path = folder.path(`whole.${kind}`)
    let seen: boolean[] = []
    await from(rowsSource<Row>(rows))
      .map((row) => {
        seen = [existsSync(path), existsSync(`${path}.partial`)]
        return row
      })
      .to(make(path, false))
      .run()
    expect(seen).toEqual([false, true])
    expect(readFileSync(path, 'utf8')).toBe(wanted)
    expect(existsSync(`${path}.partial`)).toBe(false)
  })

  it('replaces an older one only when all is well', async () => {
    const path = folder.path(`older.${kind}`)
    writeFileSync(path, 'older')
    const failing = rowsSource<Row>(rows, { failAfterRows: 300 })
    await expect(from(failing).to(make(path, false)).run()).rejects.toThrow()
    expect(readFileSync(path, 'utf8')).toBe('older')
    expect(existsSync(`${path}.partial`)).toBe(false)
    await run(make(path, false))
    expect(readFileSync(path, 'utf8')).toBe(wanted)
  })

  it.each([false, true])(
    'is resumed at the saved length, whatever a crash left behind it (gzip: %s)',
    async (gzip) => {
      const path = folder.path(`resumed-${gzip}.${kind}`)
      const store = await breakOff(make(path, gzip))
      expect(existsSync(path)).toBe(false)
      appendFileSync(`${path}.partial`, '{"n":300,"te')
      const report = await from(rowsSource<Row>(rows)).to(make(path, gzip)).run({ checkpoint: store })
      const bytes = readFileSync(path)
      expect((gzip ? gunzipSync(bytes) : bytes).toString()).toBe(wanted)
      expect(report.ledger.sink.written).toBe(rows.length)
      expect(report.resumed).toBe(true)
    },
  )

  it('is taken as it is after a crash between the renaming and the last save', async () => {
    const path = folder.path(`renamed.${kind}`)
    const memory = memoryCheckpoint()
    const crashed = {
      ...memory,
      save: async (saved: Parameters<typeof memory.save>[0]) => {
        if (saved.finished) throw new Error('killed')
        await memory.save(saved)
      },
    }
    await expect(
      from(rowsSource<Row>(rows)).to(make(path, false)).run({ checkpoint: crashed }),
    ).rejects.toThrow()
    expect(readFileSync(path, 'utf8')).toBe(wanted)
    const report = await from(rowsSource<Row>(rows)).to(make(path, false)).run({ checkpoint: memory })
    expect(readFileSync(path, 'utf8')).toBe(wanted)
    expect(report.ledger.sink.written).toBe(rows.length)
  })

  it('that is shorter than the checkpoint says, or gone, is not resumed', async () => {
    const path = folder.path(`short.${kind}`)
    const store = await breakOff(make(path, false))
    const resume = () => codeOf(from(rowsSource<Row>(rows)).to(make(path, false)).run({ checkpoint: store }))
    truncateSync(`${path}.partial`, 10)
    expect(await resume()).toBe('ETL_FILE_CHANGED')
    renameSync(`${path}.partial`, folder.path(`elsewhere.${kind}`))
    expect(await resume()).toBe('ETL_FILE_CHANGED')
    writeFileSync(path, 'not ours')
    expect(await resume()).toBe('ETL_FILE_CHANGED')
    expect(readFileSync(path, 'utf8')).toBe('not ours')
  })

  it('that two runs write at once is whole, and one of them says so', async () => {
    const path = folder.path(`twice.${kind}`)
    const codes = await Promise.all([codeOf(run(make(path, false))), codeOf(run(make(path, false)))])
    expect(codes.sort()).toEqual(['ETL_FILE_CHANGED', 'no error'])
    expect(readFileSync(path, 'utf8')).toBe(wanted)
  })

  it('keeps a link, and refuses what is no file', async () => {
    const path = folder.path(`link.${kind}`)
    writeFileSync(folder.path(`real.${kind}`), '')
    symlinkSync(folder.path(`real.${kind}`), path)
    await run(make(path, false))
    expect(folder.text(`real.${kind}`)).toBe(wanted)
    mkdirSync(folder.path(`dir.${kind}`))
    expect(await codeOf(run(make(folder.path(`dir.${kind}`), false)))).toBe('ETL_FILE_IS_DIRECTORY')
    expect(await codeOf(run(make(folder.path(`none/x.${kind}`), false)))).toBe('ETL_FILE_NOT_FOUND')
    expect(await codeOf(run(make('/dev/null', false)))).toBe('ETL_FILE_NOT_REGULAR')
  })

  it('takes no rows once it is closed, and is closed twice without harm', async () => {
    const path = folder.path(`closed.${kind}`)
    const sink = make(path, false)
    await sink.close?.(false)
    await run(sink)
    await sink.close?.(true)
    await sink.close?.(false)
    const frame = {
      partition: '0',
      count: 1,
      body: Buffer.from('x\n'),
      endAt: () => 2,
      ordinalAt: () => 0,
      positionAt: () => undefined,
    }
    expect(await codeOf(sink.write(frame, { attempt: 1 }))).toBe('ETL_SINK_CLOSED')
    expect(readFileSync(path, 'utf8')).toBe(wanted)
  })

  it('without rows is empty, and a gzip file all the same where it is to be compressed', async () => {
    const path = folder.path(`empty.${kind}`)
    await from(rowsSource<Row>([])).to(make(path, false)).run()
    expect(readFileSync(path, 'utf8')).toBe('')
    await from(rowsSource<Row>([])).to(make(path, true)).run()
    expect(gunzipSync(readFileSync(path)).toString()).toBe('')
  })

  it('can be written again by the same sink', async () => {
    const path = folder.path(`again.${kind}`)
    const sink = make(path, false)
    await run(sink)
    await run(sink)
    expect(readFileSync(path, 'utf8')).toBe(wanted)
  })
})

describe('jsonlSink with append', () => {
  it('adds to the file, behind its last whole line', async () => {
    const path = folder.path('append.jsonl')
    writeFileSync(path, '{"old":1}\n{"old":2}\n{"ol')
    const one = () =>
      from(rowsSource<Row>([{ a: 1 }]))
        .to(jsonlSink(path, { append: true }))
        .run()
    await one()
    await one()
    expect(readFileSync(path, 'utf8')).toBe('{"old":1}\n{"old":2}\n{"a":1}\n{"a":1}\n')
  })

  it('cuts off a half line longer than what it reads at once, up to a file without any whole line', async () => {
    const path = folder.path('long-tail.jsonl')
    const tail = 'x'.repeat(200_000)
    for (const whole of ['{"a":1}\n', '']) {
      writeFileSync(path, whole + tail)
      await from(rowsSource<Row>([{ b: 2 }]))
        .to(jsonlSink(path, { append: true }))
        .run()
      expect(readFileSync(path, 'utf8')).toBe(`${whole}{"b":2}\n`)
    }
  })

  it('keeps the dead letters of a run that fails', async () => {
    const path = folder.path('dead.jsonl')
    const failing = rowsSource<Row>(rows, { failAfterRows: 300 })
    const work = from(failing)
      .map((row) => {
        if (row.n === 7) throw new Error('seven')
        return row
      })
      .to(jsonlSink(folder.path('alive.jsonl')))
      .run({
        onError: deadLetter(jsonlSink(path, { append: true })),
        checkpoint: memoryCheckpoint(),
        checkpointEveryMs: 0,
      })
    expect(await codeOf(work)).toBe('ETL_TEST_FAULT')
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({
      row: { n: 7 },
      by: 'map',
      position: { row: 8 },
    })
  })

  it('is exact with a checkpoint, too', async () => {
    const path = folder.path('append-resumed.jsonl')
    writeFileSync(path, '{"old":1}\n')
    const store = await breakOff(jsonlSink(path, { append: true }))
    appendFileSync(path, '{"n":300,"te')
    await from(rowsSource<Row>(rows))
      .to(jsonlSink(path, { append: true }))
      .run({ checkpoint: store })
    expect(readFileSync(path, 'utf8')).toBe(`{"old":1}\n${asJsonl}`)
  })

  it('is refused together with gzip, whose half lines nobody can find', () => {
    expect(() => jsonlSink('x', { append: true, gzip: true })).toThrow(/option gzip/)
  })
})
