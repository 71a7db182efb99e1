import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { BodySink, Clock, OpenContext, Row, WriteContext } from '../../src/contracts.js'
import { infinoClient } from '../../src/infino/client.js'
import type { InfinoClient } from '../../src/infino/types.js'
import { infinoImportSink } from '../../src/sinks/infino-import.js'
import { frameOf } from '../support/frames.js'
import { type InfinoFake, type InfinoFakeOptions, startInfinoFake } from '../support/infino-fake.js'

const opening: OpenContext = { runId: 'run', resumed: false, checkpointed: false }
const first: WriteContext = { attempt: 1 }

let fake: InfinoFake
let client: InfinoClient
/** Moves only when somebody waits. */
let time = 0
let waits: number[] = []
/** Called at each wait, for what happens meanwhile. */
let meanwhile: () => void = () => {}
const clock: Clock = {
  now: () => time,
  sleep: async (ms) => {
    time += ms
    waits.push(ms)
    meanwhile()
  },
}

async function start(options: InfinoFakeOptions = {}): Promise<void> {
  fake = await startInfinoFake(options)
  const { endpoint, accessKey, secretKey } = fake
  const http = { headersTimeoutMs: 300 }
  // Only waits of the sink itself run on the clock of the test.
  client = infinoClient({ endpoint, accessKey, secretKey, http, retry: { attempts: 2, baseMs: 1 } })
}

beforeEach(async () => {
  time = 0
  waits = []
  meanwhile = () => {}
  await start()
})
afterEach(async () => {
  await client.close()
  await fake.close()
})

async function open(options: Partial<Parameters<typeof infinoImportSink>[0]> = {}): Promise<BodySink> {
  const sink = infinoImportSink({ dataset: 'd', client, clock, ...options })
  await sink.open!(opening)
  waits = []
  return sink
}

const rows = (count: number, from = 0): Row[] =>
  Array.from({ length: count }, (_, i) => ({ n: from + i, t: 'ü' }))
const imports = () => fake.requests.filter((request) => request.call === 'import').length

describe('a part', () => {
  for (const format of ['jsonl', 'json'] as const)
    it(`arrives as ${format}, row for row, also when a frame was cut`, async () => {
      const sink = await open({ format })
      const { frame } = frameOf(sink, rows(5))
      await sink.write(frame, first)
      const cut = { ...frame, count: 2, body: frame.body.subarray(0, frame.endAt(1)) }
      await sink.write(cut, first)
      expect(fake.rows('d')).toEqual([...rows(5), ...rows(2)])
    })

  it('of which the server stored fewer rows ends the run with the numbers', async () => {
    const sink = await open()
    fake.fault('import', { importRows: 3 })
    await expect(sink.write(frameOf(sink, rows(5)).frame, first)).rejects.toMatchObject({
      code: 'ETL_IMPORT_INCOMPLETE',
      verdict: 'never',
      message: expect.stringMatching(/5 rows sent, 3 processed, 2 failed/),
      context: { sent: 5, processed: 3, failed: 2 },
    })
  })

  it('that failed gives the errors of all places where they may stand', async () => {
    const sink = await open()
    const stats = { documents_processed: 0, documents_failed: 5, errors: ['bad line'] }
    fake.fault('import', {
      reply: () => ({ status: 'failed', error_message: 'boom', errors: ['top'], stats }),
    })
    await expect(sink.write(frameOf(sink, rows(5)).frame, first)).rejects.toMatchObject({
      code: 'ETL_IMPORT_FAILED',
      message: expect.stringMatching(/boom; top; bad line/),
    })
  })

  it('that is refused keeps the verdict of the refusal', async () => {
    const sink = await open()
    fake.fault('import', { status: 413 }, { status: 400 }, { status: 429, retryAfter: '3' })
    const { frame } = frameOf(sink, rows(2))
    await expect(sink.write(frame, first)).rejects.toMatchObject({ verdict: 'split' })
    await expect(sink.write(frame, first)).rejects.toMatchObject({ verdict: 'never' })
    await expect(sink.write(frame, first)).rejects.toMatchObject({ verdict: 'again', retryAfterMs: 3000 })
    expect(fake.rows('d')).toEqual([])
    expect(waits).toEqual([])
  })
})

describe('an import without a known end', () => {
  for (const lose of ['request', 'body'] as const)
    it(`of which nothing arrived (lost ${lose}) may be tried again`, async () => {
      const sink = await open()
      fake.fault('import', { lose })
      const { frame } = frameOf(sink, rows(4))
      await expect(sink.write(frame, first)).rejects.toMatchObject({ verdict: 'again' })
      await sink.write(frame, { attempt: 2 })
      expect(fake.rows('d')).toEqual(rows(4))
    })

  it('that arrived whole is a success', async () => {
    const sink = await open()
    await sink.write(frameOf(sink, rows(3)).frame, first)
    for (const fault of [
      { lose: 'reply' },
      { cutReply: true },
      { stored: true, status: 500 },
      { hang: 'after' },
    ] as const) {
      fake.fault('import', fault)
      await sink.write(frameOf(sink, rows(4)).frame, first)
    }
    expect(fake.rows('d')).toHaveLength(3 + 4 * 4)
    expect(imports()).toBe(5)
  })

  it('that shows late is a success once it shows', async () => {
    const sink = await open()
    fake.fault('import', { lose: 'reply' })
    fake.hidden = 4
    meanwhile = () => {
      if (waits.length === 3) fake.hidden = 0
    }
    await sink.write(frameOf(sink, rows(4)).frame, first)
    expect(imports()).toBe(1)
  })

  it('of which a part arrived is never repeated, and says the numbers', async () => {
    const sink = await open()
    await sink.write(frameOf(sink, rows(3)).frame, first)
    fake.fault('import', { importRows: 2, lose: 'reply' })
    await expect(sink.write(frameOf(sink, rows(4)).frame, first)).rejects.toMatchObject({
      code: 'ETL_IMPORT_UNRESOLVED',
      verdict: 'never',
      message: expect.stringMatching(/dataset has 5 rows where it had 3 and 7 were expected/),
    })
  })

  it('whose server may still be at work is never repeated, even where nothing shows', async () => {
    const sink = await open()
    fake.fault('import', { hang: 'before' })
    await expect(sink.write(frameOf(sink, rows(4)).frame, first)).rejects.toMatchObject({
      code: 'ETL_IMPORT_UNRESOLVED',
      verdict: 'never',
    })
    expect(time).toBeGreaterThanOrEqual(600_000)
  })

  it('in a dataset that cannot be counted is never repeated', async () => {
    const sink = await open()
    fake.fault('import', { lose: 'reply' })
    fake.fault('query', ...Array(9).fill({ status: 500 }))
    await expect(sink.write(frameOf(sink, rows(4)).frame, first)).rejects.toMatchObject({
      verdict: 'never',
      message: expect.stringContaining('could not be counted'),
    })
  })

  it('compares with what was there before the run, once that stands still', async () => {
    fake.datasets.set('d', new Map(rows(7).map((row, i) => [String(i), row])))
    fake.hidden = 5
    meanwhile = () => {
      fake.hidden = 0
    }
    const sink = await open()
    const { frame } = frameOf(sink, rows(5))
    // Nothing arrives; the rows that were there show late, and look like the part.
    fake.fault('import', { lose: 'request' })
    await expect(sink.write(frame, first)).rejects.toMatchObject({ verdict: 'again' })
    fake.fault('import', { lose: 'reply' })
    await sink.write(frame, { attempt: 2 })
    expect(fake.rows('d')).toHaveLength(12)
  })
})

describe('an asynchronous import', () => {
  it('is followed with growing waits until it ends', async () => {
    await client.close()
    await fake.close()
    await start({ jobPolls: 6 })
    const sink = await open({ async: true })
    await sink.write(frameOf(sink, rows(4)).frame, first)
    expect(fake.rows('d')).toEqual(rows(4))
    expect(waits).toEqual([2000, 4000, 8000, 16000, 16000, 16000, 16000])
  })

  it('that never ends is given up at the deadline, and counted', async () => {
    await client.close()
    await fake.close()
    await start({ jobPolls: Number.POSITIVE_INFINITY })
    const sink = await open({ async: true, pollMs: 500, pollDeadlineMs: 30_000 })
    await sink.write(frameOf(sink, rows(4)).frame, first)
    expect(time).toBeGreaterThanOrEqual(30_000)
    expect(time).toBeLessThan(60_000)
  })

  it('whose submission was lost is never repeated unless it arrived', async () => {
    const sink = await open({ async: true })
    fake.fault('import', { lose: 'request' }, { lose: 'reply' })
    const { frame } = frameOf(sink, rows(4))
    await expect(sink.write(frame, first)).rejects.toMatchObject({
      code: 'ETL_IMPORT_UNRESOLVED',
      verdict: 'never',
    })
    await sink.write(frame, first)
    expect(fake.rows('d')).toEqual(rows(4))
  })

  it('whose job is forgotten by the server is settled by counting', async () => {
    const sink = await open({ async: true })
    fake.fault('job', { status: 404 })
    await sink.write(frameOf(sink, rows(4)).frame, first)
    fake.fault('import', { importRows: 1 })
    fake.fault('job', { status: 404 })
    await expect(sink.write(frameOf(sink, rows(4)).frame, first)).rejects.toMatchObject({
      code: 'ETL_IMPORT_UNRESOLVED',
      message: expect.stringMatching(/cannot be followed/),
    })
  })

  it('of which rows failed ends the run with the numbers', async () => {
    const sink = await open({ async: true })
    fake.fault('import', { importRows: 3 })
    await expect(sink.write(frameOf(sink, rows(4)).frame, first)).rejects.toMatchObject({
      code: 'ETL_IMPORT_INCOMPLETE',
      context: { sent: 4, processed: 3, failed: 1 },
    })
  })
})

describe('the sink', () => {
  it('sends one part at a time, says at least once, and checks its options', () => {
    const sink = infinoImportSink({ dataset: 'd', client, partRows: 10 })
    expect(sink).toMatchObject({
      delivery: 'at-least-once',
      wants: 'any',
      limits: { concurrency: 1, rows: 10 },
    })
    expect(() => infinoImportSink({ dataset: 'd', client, format: 'csv' as 'json' })).toThrow(/format/)
    expect(() => infinoImportSink({ dataset: 'D', client })).toThrow(/dataset/)
    expect(() => infinoImportSink({ dataset: 'd', client, pollMs: 0 })).toThrow(/pollMs/)
  })

  it('stops waiting when its signal fires', async () => {
    const sink = infinoImportSink({ dataset: 'd', client, async: true, pollMs: 60_000 })
    await sink.open!(opening)
    const stop = new AbortController()
    const writing = sink.write(frameOf(sink, rows(2)).frame, { attempt: 1, signal: stop.signal })
    const ended = expect(writing).rejects.toMatchObject({ code: 'ETL_ABORTED' })
    while (imports() === 0) await new Promise(setImmediate)
    stop.abort()
    await ended
  })
})
