import { describe, expect, it } from 'vitest'
import { rowsBatch } from '../../src/batch.js'
import type {
  BodyFrame,
  BodySink,
  Encoder,
  ReadRequest,
  RowSink,
  Source,
  Transform,
} from '../../src/contracts.js'
import { EtlError } from '../../src/errors.js'
import { describeLedger } from '../../src/ledger.js'
import { from } from '../../src/pipeline.js'
import { deadLetter } from '../../src/rejections.js'
import { reportOf } from '../../src/report.js'
import { map } from '../../src/transforms/map.js'
import { WorldClock } from '../world/clock.js'

interface Numbered {
  readonly n: number
}

function numbers(
  rows: number,
  perBatch = 3,
  extra: (request: ReadRequest) => void = () => {},
): Source<Numbered> {
  return {
    name: 'numbers',
    async *read(request) {
      extra(request)
      for (let n = 0; n < rows; n += perBatch) {
        const batch = Array.from({ length: Math.min(perBatch, rows - n) }, (_, i) => ({ n: n + i }))
        yield rowsBatch(batch, n + batch.length, { file: 'numbers.txt', row: n + 1 })
      }
    },
  }
}

function collect(limits?: RowSink['limits']) {
  const frames: Numbered[][] = []
  const sink: RowSink<Numbered> = {
    name: 'collect',
    limits,
    write: async (frame) => {
      frames.push([...frame.rows])
      return undefined
    },
  }
  return { frames, sink, rows: () => frames.flat().map((row) => row.n) }
}

/** Bodies of lines, so many bytes at most. */
function bodies(
  bytes: number,
  rowBytes: number,
  write: (lines: string[]) => void = () => {},
): BodySink<Numbered> {
  return {
    name: 'bodies',
    limits: { bytes, rowBytes },
    encoder: (): Encoder<Numbered> => ({
      put: (batch, index, _ordinal, into, at) => {
        const line = Buffer.from(`${'x'.repeat((batch.rows[index] as Numbered).n)}\n`)
        if (at + line.length > into.length) return -1
        return at + line.copy(into, at)
      },
    }),
    write: async (frame: BodyFrame) => {
      expect(frame.body.length).toBeLessThanOrEqual(rowBytes)
      write(Buffer.from(frame.body).toString().split('\n').slice(0, -1))
      return undefined
    },
  }
}

async function failureOf(run: Promise<unknown>) {
  const error = await run.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(EtlError)
  const report = reportOf(error)
  expect(report).toBeDefined()
  return { error: error as EtlError, report: report as NonNullable<typeof report> }
}

describe('a run', () => {
  it('returns a ledger that balances and says how it knows that nothing is missing', async () => {
    const { sink, rows } = collect()
    const report = await from(numbers(10, 3, ({ expect }) => expect?.(10)))
      .filter((row) => row.n % 2 === 0)
      .map((row) => ({ n: row.n * 10 }))
      .to(sink)
      .run()
    expect(rows()).toEqual([0, 20, 40, 60, 80])
    expect(report.completeness).toEqual({ kind: 'proven' })
    expect(describeLedger(report.ledger)).toBe('10 read = 5 written + 5 dropped + 0 rejected')
    expect(report.timings.map(({ name }) => name)).toEqual(['numbers', 'filter', 'map', 'encode', 'collect'])
  })

  it('fails when the source gives fewer or more rows than it declared, unless told to warn', async () => {
    for (const declared of [9, 11]) {
      const short = numbers(10, 3, ({ expect }) => expect?.(declared))
      const { error, report } = await failureOf(from(short).to(collect().sink).run())
      expect(error.code).toBe('ETL_SOURCE_INCOMPLETE')
      expect(error.message).toContain(`declared ${declared} rows and gave 10`)
      expect(report.ledger.sink.written).toBe(10)
      const warned = await from(short).to(collect().sink).run({ onIncomplete: 'warn' })
      expect(warned.warnings.join()).toContain(`declared ${declared}`)
      expect(warned.completeness.kind).toBe('truncated')
    }
  })

  it('calls a source that ends without a total unproven', async () => {
    const report = await from(numbers(4)).to(collect().sink).run()
    expect(report.completeness).toEqual({ kind: 'unproven' })
  })

  it('does not balance when a transform that must keep the count loses or adds a row', async () => {
    for (const change of [-1, 1]) {
      const wrong: Transform<Numbered, Numbered> = Object.assign(
        async function* wrong(input: Parameters<Transform<Numbered, Numbered>>[0]) {
          for await (const batch of input) {
            yield rowsBatch(change < 0 ? batch.rows.slice(1) : [...batch.rows, { n: -1 }], batch.cursor)
          }
        },
        { wants: 'rows', memory: false, count: 'same' } as const,
      )
      const { error } = await failureOf(from(numbers(3)).through(wrong).to(collect().sink).run())
      expect(error.code).toBe('ETL_LEDGER_UNBALANCED')
      expect(error.message).toContain('wrong must keep the count')
    }
  })

  it('names the transform, the file and the row when a function throws', async () => {
    const broken = from(numbers(10)).map((row) => {
      if (row.n === 7) throw new Error('no sevens')
      return row
    })
    const { error, report } = await failureOf(broken.to(collect().sink).run())
    expect(error.code).toBe('ETL_TRANSFORM_THREW')
    expect(error.message).toBe('map: the function given to map threw: no sevens (numbers.txt, row 8)')
    expect(report.ledger.rejected).toBe(1)
    const skipped = await broken.to(collect().sink).run({ onError: 'skip' })
    expect(skipped.rejectedRows).toMatchObject([
      { row: { n: 7 }, by: 'map', position: { file: 'numbers.txt', row: 8 } },
    ])
    expect(describeLedger(skipped.ledger)).toBe('10 read = 9 written + 1 rejected')
  })

  it('rejects what map must not return, a promise among it', async () => {
    for (const value of [undefined, null, 7, 'text', [1], Promise.resolve({})]) {
      const report = await from(numbers(2))
        .through(map(() => value as unknown as Numbered))
        .to(collect().sink)
        .run({ onError: 'skip' })
      expect(report.rejectedByCode).toEqual({ ETL_TRANSFORM_RETURN: 2 })
    }
  })

  it('never changes a row it was given', async () => {
    const frozen: Source<Numbered> = {
      name: 'frozen',
      async *read() {
        yield Object.freeze({
          rows: Object.freeze([Object.freeze({ n: 1 }), Object.freeze({ n: 2 })]),
          cursor: 1,
        })
      },
    }
    const report = await from(frozen)
      .filter((row) => row.n > 1)
      .flatMap((row) => [row, { ...row }])
      .to(collect().sink)
      .run()
    expect(report.ledger.sink.written).toBe(2)
  })

  it('says when a transform ended the read early', async () => {
    let closed = false
    const source: Source<Numbered> = {
      name: 'endless',
      async *read() {
        try {
          for (let n = 0; ; n++) yield rowsBatch([{ n }])
        } finally {
          closed = true
        }
      },
    }
    const two = async function* two(input: AsyncIterable<{ rows: readonly Numbered[] }>) {
      let left = 2
      for await (const batch of input) {
        yield batch
        if (--left === 0) return
      }
    }
    const report = await from(source).through(two).to(collect().sink).run()
    expect(report.completeness).toEqual({ kind: 'truncated', reason: 'a transform ended the read' })
    expect(closed).toBe(true)
  })

  it('reads exactly the limit and closes the source', async () => {
    const { sink, rows } = collect()
    const report = await from(numbers(100)).to(sink).run({ limit: 7 })
    expect(rows()).toEqual([0, 1, 2, 3, 4, 5, 6])
    expect(report.completeness).toEqual({ kind: 'truncated', reason: 'limit' })
  })

  it('refuses options that make no sense before anything is opened', async () => {
    for (const options of [
      { limit: -1 },
      { parallel: 0 },
      { graceMs: 0.5 },
      { runId: 'a b' },
      { retry: { attempts: 0 } },
    ]) {
      const run = from(numbers(1)).to(collect().sink).run(options)
      await expect(run).rejects.toMatchObject({ code: 'ETL_OPTION_INVALID' })
    }
  })
})

describe('stopping', () => {
  it('does not wait for a source that ignores the signal', async () => {
    const stop = new AbortController()
    const deaf: Source<Numbered> = {
      name: 'deaf',
      async *read() {
        yield rowsBatch([{ n: 1 }])
        stop.abort()
        await new Promise(() => {})
      },
    }
    const { error, report } = await failureOf(
      from(deaf).to(collect().sink).run({ signal: stop.signal, clock: new WorldClock() }),
    )
    expect([error.code, report.status]).toEqual(['ETL_ABORTED', 'stopped'])
    expect(report.ledger.sink).toMatchObject({ in: 1, written: 0, unresolved: 1 })
    expect(report.ledger.balanced).toBe(true)
  })

  it('lets writes in flight settle, cuts off those that do not, and counts both truly', async () => {
    const stop = new AbortController()
    let calls = 0
    const sink: RowSink<Numbered> = {
      name: 'slow',
      limits: { rows: 1, concurrency: 2 },
      write: (_frame, context) => {
        if (++calls === 1) return new Promise((resolve) => setImmediate(() => resolve(undefined)))
        stop.abort()
        return new Promise((_, reject) => {
          context.signal?.addEventListener('abort', () => reject(new Error('cut off')))
        })
      },
    }
    const { report } = await failureOf(from(numbers(9, 1)).to(sink).run({ signal: stop.signal, graceMs: 30 }))
    expect(report.ledger.sink.written).toBe(1)
    expect(report.ledger.sink.written + report.ledger.sink.unresolved).toBe(report.ledger.sink.in)
  })

  it('stops also when everything is read and only an answer or a flush is missing', async () => {
    for (const silent of ['write', 'flush'] as const) {
      const stop = new AbortController()
      const forever = (signal: AbortSignal | undefined) => {
        stop.abort()
        return new Promise<undefined>((_, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
        })
      }
      const sink: RowSink<Numbered> = {
        name: 'silent',
        write: async (_, { signal }) => (silent === 'write' ? forever(signal) : undefined),
        ...(silent === 'flush' ? { flush: async ({ signal }) => forever(signal) } : {}),
      }
      const { error, report } = await failureOf(
        from(numbers(2)).to(sink).run({ signal: stop.signal, graceMs: 20 }),
      )
      expect(error.code).toBe('ETL_ABORTED')
      expect(report?.ledger.sink).toMatchObject({ in: 2, written: 0, unresolved: 2 })
    }
  })

  it('closes the sink also when closing the dead letters fails', async () => {
    let closed = 0
    const sink = {
      ...collect().sink,
      close: async () => {
        closed++
      },
    }
    const letters = {
      name: 'letters',
      write: async () => undefined,
      close: () => Promise.reject(new Error('cannot close')),
    }
    const { error } = await failureOf(
      from(numbers(3))
        .to(sink)
        .run({ onError: deadLetter(letters) }),
    )
    expect(error.message).toContain('cannot close')
    expect(closed).toBe(1)
  })

  it('releases the source when the sink fails', async () => {
    let closed = 0
    const source: Source<Numbered> = {
      name: 'open',
      async *read() {
        try {
          for (let n = 0; ; n++) yield rowsBatch([{ n }])
        } finally {
          closed++
        }
      },
    }
    const failing: RowSink<Numbered> = {
      name: 'failing',
      write: () => Promise.reject(new Error('disk full')),
    }
    const { error } = await failureOf(from(source).to(failing).run())
    expect(error.message).toContain('disk full')
    expect(closed).toBe(1)
  })
})

describe('frames', () => {
  it('hold no more rows than the sink takes, and rows of several batches together', async () => {
    const { sink, frames } = collect({ rows: 4 })
    await from(numbers(10, 3)).to(sink).run()
    expect(frames.map((frame) => frame.length)).toEqual([4, 4, 2])
  })

  it('are cut by the bytes of the body, and a larger row goes alone', async () => {
    const sent: number[][] = []
    const sizes = [3, 3, 3, 15, 2, 2]
    const source: Source<Numbered> = {
      name: 'sizes',
      read: async function* () {
        yield rowsBatch(sizes.map((n) => ({ n })))
      },
    }
    const report = await from(source)
      .to(bodies(10, 20, (lines) => sent.push(lines.map((line) => line.length))))
      .run()
    expect(sent).toEqual([[3, 3], [3], [15], [2, 2]])
    expect(report.ledger.sink.written).toBe(6)
  })

  it('leave out a row over the limit without hurting its neighbours', async () => {
    const source: Source<Numbered> = {
      name: 'sizes',
      read: async function* () {
        yield rowsBatch([{ n: 3 }, { n: 40 }, { n: 3 }], 1, { file: 'f', row: 1 })
      },
    }
    const report = await from(source).to(bodies(10, 20)).run({ onError: 'skip' })
    expect(report.rejectedRows).toMatchObject([
      { code: 'ETL_ROW_TOO_LARGE', ordinal: 1, position: { row: 2 } },
    ])
    expect(report.ledger.sink).toMatchObject({ written: 2, rejected: 1, unresolved: 0 })
  })

  it('are cut when their first row has waited long enough', async () => {
    const { sink, frames } = collect({ rows: 100, ageMs: 10 })
    let proceed = () => {}
    const source: Source<Numbered> = {
      name: 'trickle',
      async *read() {
        yield rowsBatch([{ n: 1 }])
        await new Promise<void>((resolve) => {
          proceed = resolve
        })
        yield rowsBatch([{ n: 2 }])
      },
    }
    const seen = {
      ...sink,
      write: async (...given: Parameters<typeof sink.write>) => {
        proceed()
        return sink.write(...given)
      },
    }
    await from(source).to(seen).run()
    expect(frames).toEqual([[{ n: 1 }], [{ n: 2 }]])
  })
})

describe('a sink', () => {
  it('that refuses everything fails the run after a bounded number of halvings', async () => {
    let writes = 0
    const refusing: RowSink<Numbered> = {
      name: 'refusing',
      limits: { rows: 5000 },
      write: () => {
        writes++
        return Promise.reject(new EtlError('BAD', 'malformed', { verdict: 'split' }))
      },
    }
    const { error } = await failureOf(from(numbers(5000, 5000)).to(refusing).run({ onError: 'skip' }))
    expect(error.code).toBe('ETL_SINK_REFUSES')
    expect(writes).toBeLessThan(600)
  })

  it('that answers for rows it was not given fails the run', async () => {
    for (const index of [-1, 3, 0.5]) {
      const failures = [{ index, verdict: 'never' as const, code: 'X', reason: 'x' }]
      const { error } = await failureOf(
        from(numbers(3))
          .to({ name: 'odd', write: async () => ({ failures }) })
          .run({ onError: 'skip' }),
      )
      expect(error.code).toBe('ETL_SINK_ANSWER')
    }
  })

  it('whose flush or close fails has written nothing, as far as the ledger tells', async () => {
    const accepted: RowSink<Numbered> = { name: 'file', write: async () => undefined }
    const full = () => Promise.reject(new Error('no space left'))
    for (const sink of [
      { ...accepted, flush: full },
      { ...accepted, flush: async () => undefined, close: full },
    ]) {
      const { report } = await failureOf(from(numbers(3)).to(sink).run())
      expect(report.ledger.sink).toMatchObject({ in: 3, written: 0, unresolved: 3 })
    }
  })
})

describe('partitions', () => {
  it('must have unique ids that are safe in row ids', async () => {
    for (const ids of [['a', 'a'], ['a/b'], ['']]) {
      const source = { ...numbers(1), partitions: async () => ids.map((id) => ({ id })) }
      const { error } = await failureOf(from(source).to(collect().sink).run())
      expect(error.code).toBe('ETL_PARTITION_ID')
    }
  })

  it('are read so many at once, and a chain with memory sees them one after another', async () => {
    const open = { now: 0, most: 0 }
    const source: Source<Numbered> = {
      name: 'parts',
      partitions: async () => ['a', 'b', 'c', 'd', 'e'].map((id) => ({ id })),
      async *read() {
        open.most = Math.max(open.most, ++open.now)
        for (let n = 0; n < 5; n++) {
          await new Promise((resolve) => setImmediate(resolve))
          yield rowsBatch([{ n }])
        }
        open.now--
      },
    }
    await from(source).to(collect().sink).run({ parallel: 3 })
    expect(open.most).toBe(3)
    open.most = 0
    const same = async function* same(input: AsyncIterable<{ rows: readonly Numbered[] }>) {
      yield* input
    }
    const report = await from(source).through(same).to(collect().sink).run({ parallel: 3 })
    expect([open.most, report.ledger.sink.written]).toEqual([1, 25])
  })
})
