import { once } from 'node:events'
import { Duplex, Transform as NodeTransform, PassThrough, Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import fc from 'fast-check'
import ndjson from 'ndjson'
import { describe, expect, it } from 'vitest'
import { rowsBatch, textBatch } from '../../src/batch.js'
import type { Batch, Row, RowSink, Source } from '../../src/contracts.js'
import { EtlError, isEtlError } from '../../src/errors.js'
import { fromReadable, toReadable, toTransform, toWritable, viaStream } from '../../src/interop.js'
import { from } from '../../src/pipeline.js'
import { callbackSink } from '../../src/sinks/callback.js'
import { memorySink } from '../../src/sinks/memory.js'
import { rowsSource } from '../../src/testing/rows-source.js'
import { filter } from '../../src/transforms/filter.js'
import { flatMap } from '../../src/transforms/flat-map.js'
import { map } from '../../src/transforms/map.js'

const rows = Array.from({ length: 1000 }, (_, n) => ({ n, text: `row ${n}` }))
const codeOf = (error: unknown) => (isEtlError(error) ? error.code : error)
const failure = (work: Promise<unknown>) => work.then(() => 'no error', codeOf)
const turn = () => new Promise((resolve) => setImmediate(resolve))

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const chunks: T[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return chunks
}

/** Batches without end, which tells how many were pulled and whether it was closed. */
function endless(batchRows = 100) {
  const facts = { pulled: 0, closed: 0 }
  const source: Source<{ n: number }> = {
    name: 'endless',
    async *read() {
      try {
        for (;;) {
          const start = facts.pulled++ * batchRows
          yield rowsBatch(Array.from({ length: batchRows }, (_, i) => ({ n: start + i })))
        }
      } finally {
        facts.closed++
      }
    },
  }
  return { source, facts }
}

/** One batch, then silence that only the signal ends. */
function silent() {
  const facts = { closed: 0 }
  const source: Source<{ n: number }> = {
    name: 'silent',
    async *read({ signal }) {
      try {
        yield rowsBatch([{ n: 1 }])
        await new Promise((_, reject) =>
          signal?.addEventListener('abort', () => reject(new Error('noticed'))),
        )
      } finally {
        facts.closed++
      }
    },
  }
  return { source, facts }
}

describe('toReadable', () => {
  it('gives the rows in order, whatever its mark and its batches', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(60),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 20 }),
        async (count, batchRows, highWaterMark) => {
          const given = rows.slice(0, count)
          expect(await collect(toReadable(rowsSource(given, { batchRows }), { highWaterMark }))).toEqual(
            given,
          )
        },
      ),
      { numRuns: 60 },
    )
  })

  it('gives rows to a reader that reads from within its own listener', async () => {
    const stream = toReadable(rowsSource(rows, { batchRows: 7 }), { highWaterMark: 3 })
    const seen: unknown[] = []
    stream.on('readable', () => {
      for (let row = stream.read(); row !== null; row = stream.read()) seen.push(row)
    })
    await once(stream, 'end')
    expect(seen).toEqual(rows)
  })

  it('gives batches with their cursors', async () => {
    const batches = await collect(toReadable(rowsSource(rows, { batchRows: 300 }), { by: 'batches' }))
    expect(batches.map((batch) => batch.cursor)).toEqual([300, 600, 900, 1000].map((row) => ({ row })))
    expect(batches.flatMap((batch) => batch.rows)).toEqual(rows)
  })

  it('takes the batches of a pipeline, a limit and a cursor', async () => {
    const even = from(rowsSource(rows)).filter((row) => row.n % 2 === 0)
    expect(await collect(toReadable(even.batches()))).toEqual(rows.filter((row) => row.n % 2 === 0))
    expect(await collect(toReadable(rowsSource(rows), { from: { row: 900 }, limit: 7 }))).toEqual(
      rows.slice(900, 907),
    )
    expect(
      await collect(toReadable({ name: 'deaf', read: () => rowsSource(rows).read({}) }, { limit: 7 })),
    ).toEqual(rows.slice(0, 7))
    expect(await collect(toReadable(rowsSource(rows), { limit: 0 }))).toEqual([])
  })

  it.each(['rows', 'batches'] as const)(
    'reads no further than a batch ahead of a reader that stalls (%s)',
    async (by) => {
      const { source, facts } = endless()
      const stream = by === 'rows' ? toReadable(source) : toReadable(source, { by: 'batches' })
      stream.read(0)
      for (let i = 0; i < 20; i++) await turn()
      expect(facts.pulled).toBeGreaterThan(0)
      expect(facts.pulled).toBeLessThanOrEqual(2)
      stream.destroy()
      await once(stream, 'close')
      expect(facts.closed).toBe(1)
    },
  )

  it('opens nothing before it is read', async () => {
    const { source, facts } = endless()
    const stream = toReadable(source)
    await turn()
    expect(facts.pulled).toBe(0)
    stream.destroy()
    await once(stream, 'close')
    expect(facts.pulled).toBe(0)
  })

  it('ends a source that waits when it is destroyed, and closes after it', async () => {
    const { source, facts } = silent()
    const stream = toReadable(source)
    await once(stream, 'readable')
    stream.read()
    await turn()
    stream.destroy()
    await once(stream, 'close')
    expect(facts.closed).toBe(1)
  })

  it('stops with the signal', async () => {
    const { source, facts } = silent()
    const stop = new AbortController()
    const stream = toReadable(source, { signal: stop.signal })
    const work = failure(collect(stream))
    await turn()
    stop.abort()
    expect(await work).toBe('ETL_ABORTED')
    expect(facts.closed).toBe(1)
    expect(await failure(collect(toReadable(source, { signal: stop.signal })))).toBe('ETL_ABORTED')
  })

  it('hands on what fails, and the rows before it', async () => {
    const seen: unknown[] = []
    const work = (async () => {
      for await (const row of toReadable(rowsSource(rows, { failAfterRows: 250 }))) seen.push(row)
    })()
    expect(await failure(work)).toBe('ETL_TEST_FAULT')
    expect(seen.length).toBeGreaterThan(0)
    const notEtl: Source<Row> = {
      name: 'odd',
      // biome-ignore lint/correctness/useYield: it fails before it could
      async *read() {
        throw new TypeError('odd')
      },
    }
    await expect(collect(toReadable(notEtl))).rejects.toMatchObject({
      code: 'ETL_STREAM_FAILED',
      message: expect.stringContaining('odd'),
    })
  })

  it.each([null, undefined])('takes a row that is %s for an error and not for the end', async (nothing) => {
    const source: Source<unknown> = {
      name: 'holes',
      async *read() {
        yield rowsBatch<unknown>([{ n: 1 }, nothing, { n: 2 }])
      },
    }
    expect(await failure(collect(toReadable(source)))).toBe('ETL_STREAM_NULL_ROW')
  })
})

describe('toTransform', () => {
  const changed = rows.filter((row) => row.n % 3 > 0).map((row) => ({ n: row.n }))

  it('changes rows in order, however they come', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 5000 }),
        async (batchRows, batchBytes) => {
          const two = Readable.from(rows)
            .pipe(
              toTransform(
                filter((row: { n: number }) => row.n % 3 > 0),
                { batchRows, batchBytes },
              ),
            )
            .pipe(
              toTransform(
                map((row: { n: number }) => ({ n: row.n })),
                { batchRows },
              ),
            )
          expect(await collect(two)).toEqual(changed)
        },
      ),
      { numRuns: 20 },
    )
  })

  it('takes batches and gives batches, with their cursors', async () => {
    const source = toReadable(rowsSource(rows, { batchRows: 400 }), { by: 'batches' })
    const batches = (await collect(
      source.pipe(
        toTransform(
          filter((row: { n: number }) => row.n > 500),
          { by: 'batches' },
        ),
      ),
    )) as Batch[]
    expect(batches.map((batch) => [batch.rows.length, batch.cursor])).toEqual([
      [0, { row: 400 }],
      [299, { row: 800 }],
      [200, { row: 1000 }],
    ])
  })

  it('gives a row before the writer has ended', async () => {
    const stream = toTransform(map((row: { n: number }) => row))
    stream.write({ n: 1 })
    const [row] = await once(stream, 'data')
    expect(row).toEqual({ n: 1 })
    stream.destroy()
  })

  it('holds back a writer whose rows nobody reads', async () => {
    const stream = toTransform(
      map((row: { n: number }) => row),
      { batchRows: 10 },
    )
    let written = 0
    const writing = (async () => {
      for (;;) {
        written++
        if (!stream.write({ n: written })) await once(stream, 'drain')
      }
    })()
    writing.catch(() => {})
    for (let i = 0; i < 50; i++) await turn()
    const stalledAt = written
    for (let i = 0; i < 50; i++) await turn()
    expect(written).toBe(stalledAt)
    expect(written).toBeLessThan(300)
    stream.destroy()
  })

  it('ends with a transform that ends early, and lets the writer finish', async () => {
    async function* firstBatch(input: AsyncIterable<Batch<Row>>) {
      for await (const batch of input) {
        yield batch
        return
      }
    }
    const got: unknown[] = []
    await pipeline(
      Readable.from(rows),
      toTransform(firstBatch, { batchRows: 5 }),
      async (stream: AsyncIterable<unknown>) => {
        for await (const row of stream) got.push(row)
      },
    )
    expect(got).toEqual(rows.slice(0, 5))
  })

  it('fails with a rejected row, unless somebody takes it', async () => {
    const picky = () =>
      map((row: { n: number }) => {
        if (row.n === 5) throw new Error('five')
        return row
      })
    expect(await failure(collect(Readable.from(rows).pipe(toTransform(picky()))))).toBe('ETL_TRANSFORM_THREW')
    const rejected: unknown[] = []
    const stream = Readable.from(rows).pipe(
      toTransform(picky(), { reject: (row) => rejected.push(row.position) }),
    )
    expect(await collect(stream)).toHaveLength(rows.length - 1)
    expect(rejected).toEqual([{ row: 6 }])
  })

  it('refuses chunks that are no rows', async () => {
    for (const chunk of [undefined, 1, 'text', [1]]) {
      const stream = toTransform(map((row: object) => row))
      const failed = once(stream, 'error')
      stream.write(chunk)
      expect(codeOf((await failed)[0])).toBe('ETL_STREAM_NOT_ROW')
    }
    const stream = toTransform(
      map((row: object) => row),
      { by: 'batches' },
    )
    const failed = once(stream, 'error')
    stream.write({ n: 1 })
    expect(codeOf((await failed)[0])).toBe('ETL_STREAM_NOT_BATCH')
  })

  it('ends the transform when it is destroyed while it waits for rows', async () => {
    let closed = 0
    async function* watched(input: AsyncIterable<Batch<Row>>) {
      try {
        yield* input
      } finally {
        closed++
      }
    }
    const stop = new AbortController()
    const stream = toTransform(watched, { signal: stop.signal })
    stream.resume()
    await turn()
    const isClosed = once(stream, 'close').catch(codeOf)
    stop.abort()
    expect(await isClosed).toBe('ETL_ABORTED')
    if (!stream.closed) await once(stream, 'close')
    expect(closed).toBe(1)
  })
})

describe('toWritable', () => {
  it('writes all rows through the engine, and finishes with a report', async () => {
    const sink = memorySink<{ n: number }>()
    const out = toWritable(sink, { batchRows: 30 })
    expect(out.report).toBeUndefined()
    await pipeline(Readable.from(rows), out)
    expect(sink.rows).toEqual(rows)
    expect(out.report?.ledger).toMatchObject({ balanced: true, sink: { written: rows.length } })
  })

  it('takes batches', async () => {
    const sink = memorySink<{ n: number }>()
    await pipeline(toReadable(rowsSource(rows), { by: 'batches' }), toWritable(sink, { by: 'batches' }))
    expect(sink.rows).toEqual(rows)
  })

  it('takes batches of text that nobody parsed', async () => {
    const bytes = Buffer.from('{"n":1}{"n":2}')
    const sink = memorySink<{ n: number }>()
    const out = toWritable(sink, { by: 'batches' })
    out.end(textBatch({ bytes, starts: [0, 7], ends: [7, 14], count: 2 }))
    await once(out, 'finish')
    expect(sink.rows).toEqual([{ n: 1 }, { n: 2 }])
  })

  it('finishes only after the sink is closed', async () => {
    const events: string[] = []
    const memory = memorySink()
    const out = toWritable({ ...memory, close: async () => void events.push('closed') })
    out.once('finish', () => events.push('finish'))
    out.end({ n: 1 })
    await once(out, 'close')
    expect(events).toEqual(['closed', 'finish'])
  })

  it('fails when the sink fails, with the report of the run', async () => {
    const sink = callbackSink(() => {
      throw new EtlError('ETL_TEST_FAULT', 'the disk is full')
    })
    const out = toWritable(sink)
    expect(await failure(pipeline(Readable.from(rows), out))).toBe('ETL_TEST_FAULT')
    expect(out.report).toMatchObject({ status: 'failed', ledger: { sink: { written: 0 } } })
  })

  it('fails when the sink cannot be opened, before a row comes', async () => {
    const sink: RowSink = {
      name: 'shut',
      open: () => Promise.reject(new EtlError('ETL_TEST_FAULT', 'shut')),
      write: async () => undefined,
    }
    const [error] = await once(toWritable(sink), 'error')
    expect(codeOf(error)).toBe('ETL_TEST_FAULT')
  })

  it('follows the policy for rejected rows, and tells their place in the stream', async () => {
    const sink = callbackSink<Row>((given) => ({
      failures: given.flatMap((row, index) =>
        row.n === 5 ? [{ index, verdict: 'never' as const, code: 'ETL_TEST_ROW', reason: 'five' }] : [],
      ),
    }))
    const out = toWritable(sink, { onError: 'skip' })
    await pipeline(Readable.from(rows), out)
    expect(out.report?.rejectedRows).toMatchObject([{ row: { n: 5 }, position: { row: 6 } }])
  })

  it('stops the run when it is destroyed, and closes after the sink', async () => {
    const memory = memorySink()
    let ok: boolean | undefined
    const close = async (well: boolean) => {
      ok = well
    }
    const out = toWritable({ ...memory, close })
    out.write({ n: 1 })
    await turn()
    out.destroy()
    await once(out, 'close')
    expect(ok).toBe(false)
    expect(out.report?.status).toBe('stopped')
  })

  it('stops with the signal at once, though the writer is silent', async () => {
    const stop = new AbortController()
    const out = toWritable(memorySink(), { signal: stop.signal })
    out.write({ n: 1 })
    await turn()
    const started = performance.now()
    stop.abort()
    const [error] = await once(out, 'error')
    expect(codeOf(error)).toBe('ETL_ABORTED')
    expect(performance.now() - started).toBeLessThan(1000)
  })

  it('holds back its writer while the sink is slow', async () => {
    let release = () => {}
    const waits = new Promise<void>((resolve) => {
      release = resolve
    })
    const sink = callbackSink(() => waits, { rows: 10 })
    const out = toWritable(sink, { batchRows: 10 })
    let written = 0
    const writing = (async () => {
      while (written < 5000) {
        written++
        if (!out.write({ n: written })) await once(out, 'drain')
      }
      out.end()
    })()
    for (let i = 0; i < 50; i++) await turn()
    expect(written).toBeLessThan(300)
    release()
    await writing
    await once(out, 'finish')
    expect(out.report?.ledger.sink.written).toBe(5000)
  })
})

describe('fromReadable', () => {
  it('is a source, and an iterable, of the rows in order', async () => {
    const sink = memorySink<Row>()
    await from(fromReadable<Row>(Readable.from(rows)))
      .to(sink)
      .run()
    expect(sink.rows).toEqual(rows)
    const batches = await collect(fromReadable<Row>(Readable.from(rows), { batchRows: 7 }))
    expect(batches.flatMap((batch) => batch.rows)).toEqual(rows)
    expect(Math.max(...batches.map((batch) => batch.rows.length))).toBeLessThanOrEqual(7)
    expect(batches[1]?.origin).toEqual({ row: (batches[0]?.rows.length ?? 0) + 1 })
  })

  it('takes batches', async () => {
    const stream = toReadable(rowsSource(rows), { by: 'batches' })
    const batches = await collect(fromReadable(stream, { by: 'batches' }))
    expect(batches.flatMap((batch) => batch.rows)).toEqual(rows)
    expect(await failure(collect(fromReadable(Readable.from(rows), { by: 'batches' })))).toBe(
      'ETL_STREAM_NOT_BATCH',
    )
  })

  it('reads a stream once, and one that a function opens as often as asked', async () => {
    const source = fromReadable<Row>(Readable.from(rows))
    await collect(source)
    expect(await failure(collect(source))).toBe('ETL_SOURCE_CONSUMED')
    const again = fromReadable<Row>(() => Readable.from(rows))
    await collect(again)
    expect((await collect(again)).flatMap((batch) => batch.rows)).toEqual(rows)
  })

  it('rejects what is no row, with its number, and in order', async () => {
    const mixed = [{ n: 1 }, 7, 'text', { n: 2 }, [3], undefined, { n: 3 }]
    const stream = () => {
      const readable = new PassThrough({ objectMode: true })
      for (const chunk of mixed) readable.push(chunk)
      return readable.end()
    }
    expect(await failure(collect(fromReadable(stream)))).toBe('ETL_STREAM_NOT_ROW')
    const events: unknown[] = []
    for await (const batch of fromReadable(stream).read({ reject: (row) => events.push(row.position?.row) }))
      events.push(batch.rows)
    expect(events.flat()).toEqual([{ n: 1 }, 2, 3, { n: 2 }, 5, 6, { n: 3 }])
  })

  it('refuses a stream of bytes', async () => {
    expect(await failure(collect(fromReadable(Readable.from([Buffer.from('{}\n')]))))).toBe(
      'ETL_STREAM_BYTES',
    )
  })

  it('hands on an error, and takes a stream that closes early for one', async () => {
    const broken = new PassThrough({ objectMode: true })
    broken.write({ n: 1 })
    const work = failure(collect(fromReadable(broken)))
    await turn()
    broken.destroy(new Error('broken'))
    expect(await work).toBe('ETL_STREAM_FAILED')
    const early = new PassThrough({ objectMode: true })
    const closing = failure(collect(fromReadable(early)))
    await turn()
    early.destroy()
    expect(await closing).toBe('ETL_STREAM_CLOSED')
    expect(await failure(collect(fromReadable(() => early)))).toBe('ETL_STREAM_CLOSED')
  })

  it('destroys the stream when it is left, and when the signal aborts', async () => {
    const left = Readable.from(rows)
    for await (const _ of fromReadable(left)) break
    expect(left.destroyed).toBe(true)
    const stop = new AbortController()
    const waiting = new PassThrough({ objectMode: true })
    const work = failure(collect(fromReadable(waiting).read({ signal: stop.signal })))
    await turn()
    stop.abort()
    expect(await work).toBe('ETL_ABORTED')
    expect(waiting.destroyed).toBe(true)
  })
})

describe('viaStream', () => {
  const doubling = () =>
    new NodeTransform({
      objectMode: true,
      transform(row: { n: number }, _encoding, done) {
        if (row.n % 2 === 0) this.push({ n: row.n })
        this.push({ n: -row.n })
        done()
      },
    })
  const wanted = rows.flatMap(({ n }) => (n % 2 === 0 ? [{ n }, { n: -n }] : [{ n: -n }]))

  it('is a step of a pipeline, once per run', async () => {
    const step = from(rowsSource(rows)).through(viaStream<Row, Row>(doubling))
    for (let run = 0; run < 2; run++) {
      const sink = memorySink<Row>()
      const report = await step.to(sink).run()
      expect(sink.rows).toEqual(wanted)
      expect(report.ledger.balanced).toBe(true)
    }
  })

  it('takes a stream as it is, for one run', async () => {
    const step = from(rowsSource(rows)).through(viaStream<Row, Row>(doubling()))
    await step.to(memorySink()).run()
    expect(await failure(step.to(memorySink()).run())).toBe('ETL_STREAM_CONSUMED')
  })

  it('takes a stream of batches', async () => {
    const step = viaStream<Row, Row>(
      () =>
        toTransform(
          flatMap((row: Row) => [row, row]),
          { by: 'batches' },
        ),
      { by: 'batches' },
    )
    const sink = memorySink<Row>()
    await from(rowsSource<Row>(rows)).through(step).to(sink).run()
    expect(sink.rows).toEqual(rows.flatMap((row) => [row, row]))
  })

  it('fails with the stream, and with what feeds it', async () => {
    const broken = () =>
      new NodeTransform({
        objectMode: true,
        transform: (row: Row, _encoding, done) =>
          row.n === 300 ? done(new Error('broken')) : done(null, row),
      })
    expect(await failure(from(rowsSource<Row>(rows)).through(viaStream(broken)).to(memorySink()).run())).toBe(
      'ETL_STREAM_FAILED',
    )
    const failing = rowsSource<Row>(rows, { failAfterRows: 300 })
    expect(await failure(from(failing).through(viaStream(doubling)).to(memorySink()).run())).toBe(
      'ETL_TEST_FAULT',
    )
  })

  it('lets go of the input when it is left early, or when its stream ends early', async () => {
    const { source, facts } = endless()
    for await (const _ of viaStream(doubling)(source.read({}))) break
    expect(facts.closed).toBe(1)
    const short = () =>
      Duplex.from(async function* (input: AsyncIterable<Row>) {
        for await (const row of input) {
          yield row
          return
        }
      })
    const other = endless()
    const batches = await collect(viaStream(short)(other.source.read({})))
    expect(batches.flatMap((batch) => batch.rows)).toEqual([{ n: 0 }])
    expect(other.facts.closed).toBe(1)
  })

  it('does not feed a stream that nobody empties without bound', async () => {
    const { source, facts } = endless(10)
    const stuck = () => new NodeTransform({ objectMode: true, transform: () => {} })
    const stop = new AbortController()
    const work = failure(collect(viaStream(stuck)(source.read({}), { signal: stop.signal })))
    for (let i = 0; i < 30; i++) await turn()
    expect(facts.pulled).toBeLessThan(10)
    stop.abort()
    expect(await work).toBe('ETL_ABORTED')
    expect(facts.closed).toBe(1)
  })
})

describe('the ndjson package', () => {
  const text = rows.map((row) => `${JSON.stringify(row)}\n`).join('')

  it('is a source through fromReadable', async () => {
    const bytes = Readable.from([Buffer.from(text)])
    const sink = memorySink<Row>()
    await from(fromReadable<Row>(bytes.pipe(ndjson.parse())))
      .to(sink)
      .run()
    expect(sink.rows).toEqual(rows)
  })

  it('is a destination through toReadable', async () => {
    const pieces = await collect(
      toReadable(rowsSource(rows)).pipe(ndjson.stringify()) as AsyncIterable<Buffer>,
    )
    expect(pieces.join('').replaceAll('\r\n', '\n')).toBe(text)
  })

  it('composes with transforms and sinks in one pipeline', async () => {
    const sink = memorySink<Row>()
    const out = toWritable(sink)
    await pipeline(
      Readable.from([Buffer.from(text)]),
      ndjson.parse(),
      toTransform(filter((row: Row) => (row.n as number) < 10)),
      out,
    )
    expect(sink.rows).toEqual(rows.slice(0, 10))
  })

  it('has its broken lines surface as an error', async () => {
    const bytes = Readable.from([Buffer.from('{"n":1}\n{"n":')])
    const parsed = bytes.pipe(ndjson.parse())
    expect(await failure(from(fromReadable(parsed)).to(memorySink()).run())).toBe('ETL_STREAM_FAILED')
  })
})

describe('pipeline() of node:stream', () => {
  it('takes sources and transforms as they are', async () => {
    const seen: Row[] = []
    await pipeline(
      rowsSource<Row>(rows).read({}),
      map((row: Row) => ({ ...row, more: true })),
      filter((row: Row) => (row.n as number) < 5),
      async (batches: AsyncIterable<Batch<Row>>) => {
        for await (const batch of batches) seen.push(...batch.rows)
      },
    )
    expect(seen).toEqual(rows.slice(0, 5).map((row) => ({ ...row, more: true })))
  })

  it('closes the source when a step behind it fails', async () => {
    const { source, facts } = endless()
    const work = pipeline(source.read({}), async (batches: AsyncIterable<Batch<{ n: number }>>) => {
      for await (const _ of batches) throw new Error('enough')
    })
    await expect(work).rejects.toThrow('enough')
    expect(facts.closed).toBe(1)
  })

  it('ends everything when a Writable at its end fails', async () => {
    const { source, facts } = endless()
    const out = new Writable({ objectMode: true, write: (_row, _encoding, done) => done(new Error('full')) })
    await expect(pipeline(toReadable(source), out)).rejects.toThrow('full')
    expect(facts.closed).toBe(1)
  })
})
