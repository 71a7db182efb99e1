import { describe, expect, it } from 'vitest'
import { textBatch } from '../../src/batch.js'
import { memoryCheckpoint } from '../../src/checkpoint.js'
import type { Row, Source } from '../../src/contracts.js'
import { EtlError } from '../../src/errors.js'
import { from } from '../../src/pipeline.js'
import { callbackSink } from '../../src/sinks/callback.js'
import { memorySink } from '../../src/sinks/memory.js'
import { nullSink } from '../../src/sinks/null.js'
import { rowsSource } from '../../src/testing/rows-source.js'

const rows: Row[] = Array.from({ length: 100 }, (_, n) => ({ n }))

describe('callbackSink', () => {
  it('tells try, place and ordinal of the rows, and is tried again where it asks for it', async () => {
    const seen: unknown[] = []
    const sink = callbackSink<Row>(
      (given, { attempt, partition, ordinalAt, positionAt }) => {
        seen.push([given.length, attempt, partition, ordinalAt(0), positionAt(0)?.row])
        if (seen.length === 2) throw new EtlError('ETL_TEST_BUSY', 'busy', { verdict: 'again' })
      },
      { rows: 50 },
    )
    const report = await from(rowsSource(rows))
      .to(sink)
      .run({ retry: { baseMs: 0 } })
    expect(seen).toEqual([
      [50, 1, '0', 0, 1],
      [50, 1, '0', 50, 51],
      [50, 2, '0', 50, 51],
    ])
    expect(report).toMatchObject({ retries: 1, ledger: { sink: { written: 100 } } })
  })

  it('keeps to its limits on frames in flight', async () => {
    let running = 0
    let most = 0
    const sink = callbackSink(
      async () => {
        most = Math.max(most, ++running)
        await new Promise((resolve) => setImmediate(resolve))
        running--
      },
      { rows: 10, concurrency: 3 },
    )
    await from(rowsSource(rows)).to(sink).run()
    expect(most).toBe(3)
  })

  it('refuses what is no function, and limits that are none, when it is made', () => {
    expect(() => callbackSink(undefined as never)).toThrow(/option write/)
    expect(() => callbackSink(() => {}, { rows: 0 })).toThrow(/option limits.rows/)
    expect(() => callbackSink(() => {}, { ageMs: -1 })).toThrow(/option limits.ageMs/)
  })
})

describe('memorySink', () => {
  it('adds the rows of a second run', async () => {
    const sink = memorySink<Row>()
    await from(rowsSource(rows)).to(sink).run()
    await from(rowsSource(rows)).to(sink).run()
    expect(sink.rows).toEqual([...rows, ...rows])
  })

  it('does not pass for a destination whose rows were lost with their process', async () => {
    const store = memoryCheckpoint()
    const first = memorySink<Row>()
    const failing = rowsSource(rows, { batchRows: 10, failAfterRows: 60 })
    const options = { checkpoint: store, checkpointEveryMs: 0 }
    const small = { ...first, limits: { rows: 10 } }
    await expect(from(failing).to(small).run(options)).rejects.toThrow()
    await expect(from(rowsSource(rows)).to(memorySink()).run(options)).rejects.toMatchObject({
      code: 'ETL_SINK_STATE_LOST',
    })
    await from(rowsSource(rows)).to(first).run(options)
    expect(first.rows).toEqual(rows)
  })
})

describe('nullSink', () => {
  it('counts rows that nobody parsed', async () => {
    const forms: unknown[] = []
    const source: Source<Row> = {
      name: 'text',
      async *read({ form }) {
        forms.push(form)
        yield textBatch({ bytes: Buffer.from('{"n":1}{broken'), starts: [0, 7], ends: [7, 14], count: 2 })
      },
    }
    const sink = nullSink()
    const report = await from(source).to(sink).run()
    expect(forms).toEqual(['any'])
    expect(sink.count).toBe(2)
    expect(report.ledger.sink.written).toBe(2)
  })
})
