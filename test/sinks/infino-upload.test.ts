import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { textBatch } from '../../src/batch.js'
import type { BodySink, OpenContext, Row, WriteContext } from '../../src/contracts.js'
import { isEtlError } from '../../src/errors.js'
import { infinoUploadSink } from '../../src/sinks/infino-upload.js'
import { frameOf } from '../support/frames.js'
import { type InfinoFake, startInfinoFake } from '../support/infino-fake.js'

let fake: InfinoFake
const sinks: BodySink<never>[] = []
const opening: OpenContext = { runId: 'run', resumed: false, checkpointed: false }
const first: WriteContext = { attempt: 1 }

beforeEach(async () => {
  fake = await startInfinoFake()
})
afterEach(async () => {
  await Promise.all(sinks.splice(0).map((sink) => sink.close?.(true)))
  await fake.close()
})

function open<R = Row>(options: Partial<Parameters<typeof infinoUploadSink<R>>[0]> = {}): BodySink<R> {
  const { endpoint, accessKey, secretKey } = fake
  const sink = infinoUploadSink<R>({ dataset: 'd', endpoint, accessKey, secretKey, ...options })
  sinks.push(sink as BodySink<never>)
  return sink
}

const lines = (body: Uint8Array) =>
  Buffer.from(body)
    .toString()
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown)

const codeOf = (error: unknown) => (isEtlError(error) ? error.code : error)

describe('the body of an upload', () => {
  it('holds an action line with run, partition and ordinal before each row', () => {
    const { frame, rowStarts } = frameOf(open(), [{ a: 1 }, { a: 'ü\n' }], { first: 9 })
    expect(Buffer.from(frame.body).toString()).toBe(
      '{"index":{"_id":"run.p0.9"}}\n{"a":1}\n{"index":{"_id":"run.p0.10"}}\n{"a":"ü\\n"}\n',
    )
    for (const start of rowStarts) expect(frame.body[start]).toBe('{'.charCodeAt(0))
    expect(rowStarts[0]).toBe('{"index":{"_id":"run.p0.9"}}\n'.length)
  })

  it('tells where the row itself starts, for all actions that carry one', () => {
    for (const action of ['index', 'update'] as const) {
      const { frame, rowStarts } = frameOf(open({ id: 'a', action }), [{ a: 1 }, { a: 2 }])
      const text = Buffer.from(frame.body)
      expect(rowStarts.map((start) => text.toString('utf8', start, start + 7))).toEqual([
        '{"a":1}',
        '{"a":2}',
      ])
    }
  })

  it('takes text that nobody parsed, byte for byte', () => {
    const bytes = Buffer.from('{"n":12345678901234567890}{"x": 1.50}')
    const batch = textBatch<Row>({ bytes, starts: [0, 26], ends: [26, bytes.length], count: 2 })
    const body = Buffer.from(frameOf(open(), batch).frame.body).toString()
    expect(body).toContain('{"n":12345678901234567890}\n')
    expect(body).toContain('{"x": 1.50}\n')
    expect(open().wants).toBe('any')
    expect(open({ id: 'n' }).wants).toBe('rows')
  })

  it('is the same from any room, up to the largest ordinal', () => {
    fc.assert(
      fc.property(
        fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { minLength: 1, maxLength: 8 }),
        fc.nat({ max: Number.MAX_SAFE_INTEGER - 8 }),
        fc.integer({ min: 1, max: 300 }),
        fc.constantFrom('numbered', 'keyed', 'update', 'delete'),
        (rows, firstOrdinal, room, kind) => {
          const id = kind === 'numbered' ? undefined : (row: Row) => JSON.stringify(row)
          const action = kind === 'update' || kind === 'delete' ? kind : 'index'
          const sink = open({ id, action })
          const { frame, refused } = frameOf(sink, rows, { first: firstOrdinal, room })
          expect(refused).toEqual([])
          const expected = rows.flatMap((row, i) => {
            const _id = id?.(row) ?? `run.p0.${firstOrdinal + i}`
            if (action === 'delete') return [{ delete: { _id } }]
            const sent: unknown = JSON.parse(JSON.stringify(row))
            return [{ [action]: { _id } }, action === 'update' ? { doc: sent } : sent]
          })
          expect(lines(frame.body)).toEqual(expected)
          expect(frame.endAt(rows.length - 1)).toBe(frame.body.length)
        },
      ),
      { numRuns: 200 },
    )
  })
})

describe('ids from rows', () => {
  it('come from a column, columns or a function, and are the keys that the engine orders by', () => {
    const row = { a: 'x,y', b: 7, c: true }
    const idOf = (id: Parameters<typeof open<typeof row>>[0]) => {
      const sink = open<typeof row>(id)
      const action = lines(frameOf(sink, [row]).frame.body)[0] as { index: { _id: string } }
      const encoder = sink.encoder({ runId: 'r', partition: 'p' })
      expect(encoder.key?.({ rows: [row] }, 0)).toBe(action.index._id)
      return action.index._id
    }
    expect(idOf({ id: 'a' })).toBe('x,y')
    expect(idOf({ id: 'b' })).toBe('7')
    expect(idOf({ id: ['a', 'b'] })).toBe('x%2Cy,7')
    expect(idOf({ id: (given) => `${given.a}!` })).toBe('x,y!')
    expect(open({ id: 'a', unique: true }).encoder({ runId: 'r', partition: 'p' }).key).toBeUndefined()
    expect(open().encoder({ runId: 'r', partition: 'p' }).key).toBeUndefined()
  })

  it('keep rows apart whose columns would read the same when joined', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ minLength: 1 }), { minLength: 4, maxLength: 4 }), ([a, b, c, d]) => {
        const sink = open<{ a?: string; b?: string }>({ id: ['a', 'b'] })
        const ids = lines(
          frameOf(sink, [
            { a, b },
            { a: c, b: d },
          ] as Row[]).frame.body,
        ).filter((_, i) => i % 2 === 0)
        expect(JSON.stringify(ids[0]) === JSON.stringify(ids[1])).toBe(a === c && b === d)
      }),
    )
  })

  it('that are missing or no id reject the row and not its neighbours', () => {
    const rows: Row[] = [
      { k: 1 },
      {},
      { k: null },
      { k: '' },
      { k: {} },
      { k: Number.NaN },
      { k: '\ud800' },
      { k: 2 },
    ]
    const { frame, refused } = frameOf(open({ id: 'k' }), rows)
    expect(frame.count).toBe(2)
    expect(refused.map(({ index, error }) => [index, codeOf(error)])).toEqual([
      [1, 'ETL_SINK_ID_MISSING'],
      [2, 'ETL_SINK_ID_MISSING'],
      [3, 'ETL_SINK_ID_MISSING'],
      [4, 'ETL_SINK_ID_INVALID'],
      [5, 'ETL_SINK_ID_INVALID'],
      [6, 'ETL_SINK_ID_INVALID'],
    ])
    const { refused: inherited } = frameOf(open({ id: 'constructor' }), [{}])
    expect(inherited.map(({ error }) => codeOf(error))).toEqual(['ETL_SINK_ID_MISSING'])
  })

  it('call a function once for a row, whatever it throws', () => {
    let calls = 0
    const id = () => {
      calls++
      throw new Error('no id today')
    }
    const { refused } = frameOf(open({ id }), [{}, {}])
    expect(refused.map(({ error }) => (error as Error).message)).toEqual(
      Array(2).fill('the id function failed: no id today'),
    )
    expect(calls).toBe(2)
  })
})

describe('a write', () => {
  it('stores the rows under their ids, and a second time changes nothing', async () => {
    const sink = open()
    await sink.open!(opening)
    const { frame } = frameOf(sink, [{ a: 1 }, { a: 2 }])
    expect(await sink.write(frame, first)).toBeUndefined()
    expect(await sink.write(frame, { attempt: 2 })).toBeUndefined()
    expect([...fake.datasets.get('d')!]).toEqual([
      ['run.p0.0', { a: 1 }],
      ['run.p0.1', { a: 2 }],
    ])
  })

  it('updates and deletes by the id of the row', async () => {
    const index = open({ id: 'k' })
    await index.open!(opening)
    await index.write(
      frameOf(index, [
        { k: 1, a: 1 },
        { k: 2, a: 1 },
      ]).frame,
      first,
    )
    const update = open({ id: 'k', action: 'update' })
    await update.write(frameOf(update, [{ k: 1, b: 2 }]).frame, first)
    const remove = open({ id: 'k', action: 'delete' })
    await remove.write(frameOf(remove, [{ k: 2 }]).frame, first)
    expect([...fake.datasets.get('d')!]).toEqual([['1', { k: 1, a: 1, b: 2 }]])
  })

  it('names the rows that were refused, for now and for good, with a reason', async () => {
    const sink = open()
    await sink.open!(opening)
    fake.fault('upload', { items: { 0: 429, 2: 400 } })
    const result = await sink.write(frameOf(sink, [{ a: 0 }, { a: 1 }, { a: 2 }]).frame, first)
    expect(result!.failures).toMatchObject([
      { index: 0, verdict: 'again', code: 'ETL_INFINO_REFUSED_FOR_NOW' },
      {
        index: 2,
        verdict: 'never',
        code: 'ETL_INFINO_REFUSED',
        reason: expect.stringContaining('status 400'),
      },
    ])
    expect(fake.rows('d')).toEqual([{ a: 1 }])
  })

  it('whose reply is lost may be repeated, and every row is there once', async () => {
    const sink = open()
    await sink.open!(opening)
    fake.fault('upload', { lose: 'reply' }, { missingItems: 1 }, { stored: true, body: '<html>' })
    const { frame } = frameOf(sink, [{ a: 0 }, { a: 1 }])
    for (let attempt = 1; attempt <= 3; attempt++)
      await expect(sink.write(frame, { attempt })).rejects.toMatchObject({ verdict: 'again' })
    await sink.write(frame, { attempt: 4 })
    expect(fake.rows('d')).toEqual([{ a: 0 }, { a: 1 }])
  })

  it('that is refused whole wants to be cut', async () => {
    const sink = open()
    await sink.open!(opening)
    fake.fault('upload', { status: 413 }, { status: 400, body: 'malformed' })
    const { frame } = frameOf(sink, [{ a: 0 }, { a: 1 }])
    for (const status of [413, 400])
      await expect(sink.write(frame, first)).rejects.toMatchObject({ verdict: 'split', context: { status } })
  })

  it('into a dataset that is missing says so, unless it is created first', async () => {
    const sink = open({ create: false })
    await sink.open!(opening)
    await expect(sink.write(frameOf(sink, [{}]).frame, first)).rejects.toMatchObject({
      code: 'ETL_INFINO_NOT_FOUND',
      verdict: 'never',
    })
  })

  it('of a frame without rows sends nothing', async () => {
    const sink = open()
    expect(await sink.write(frameOf(sink, []).frame, first)).toBeUndefined()
    expect(fake.requests).toEqual([])
  })

  it('works again when the sink is opened again after its close', async () => {
    const sink = open()
    for (const partition of ['p0', 'p1']) {
      await sink.open!(opening)
      await sink.write(frameOf(sink, [{ partition }], { partition }).frame, first)
      await sink.close!(true)
    }
    expect(fake.rows('d')).toEqual([{ partition: 'p0' }, { partition: 'p1' }])
  })

  it('ends when its signal fires', async () => {
    const sink = open()
    await sink.open!(opening)
    fake.fault('upload', { hang: 'before' })
    const stop = new AbortController()
    const writing = sink.write(frameOf(sink, [{}]).frame, { attempt: 1, signal: stop.signal })
    const ended = expect(writing).rejects.toMatchObject({ code: 'ETL_ABORTED' })
    while (fake.requests.length < 2) await new Promise(setImmediate)
    stop.abort()
    await ended
  })
})

describe('options', () => {
  it('are checked when the sink is made', () => {
    expect(() => open({ dataset: 'sql' })).toThrow(/route/)
    expect(() => open({ action: 'create' as 'index' })).toThrow(/action/)
    expect(() => open({ action: 'delete' })).toThrow(/id/)
    expect(() => open({ id: [] })).toThrow(/id/)
    expect(() => open({ batchBytes: 0 })).toThrow(/batchBytes/)
    expect(() => open({ concurrency: 1.5 })).toThrow(/concurrency/)
  })

  it('have the defaults of the documentation', () => {
    expect(open().limits).toEqual({ rows: undefined, bytes: 3_355_443, rowBytes: 4_000_000, concurrency: 4 })
    expect(open()).toMatchObject({ delivery: 'once', fingerprint: `${fake.endpoint}/d` })
  })
})
