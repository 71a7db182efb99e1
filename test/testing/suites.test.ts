/** The suites catch what they are for: each broken piece fails just the cases that name its fault. */
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { putRow, rowsBatch } from '../../src/batch.js'
import type {
  Batch,
  BodySink,
  ReadRequest,
  Row,
  RowSink,
  Sink,
  Source,
  Transform,
} from '../../src/contracts.js'
import { memorySink } from '../../src/sinks/memory.js'
import {
  type ContractCase,
  rowsSource,
  sinkCases,
  sourceCases,
  transformCases,
} from '../../src/testing/index.js'
import { filter } from '../../src/transforms/filter.js'

const rows = Array.from({ length: 120 }, (_, n) => ({ n }))

async function failed(cases: readonly ContractCase[]): Promise<string[]> {
  const names: string[] = []
  for (const { name, run } of cases) {
    await run().catch(() => names.push(name))
  }
  return names
}

function source(read: (request: ReadRequest) => AsyncIterable<Batch<Row>>): Source<Row> {
  return { name: 'faulty', read }
}
const good = (request: ReadRequest) => rowsSource<Row>(rows, { batchRows: 10 }).read(request)

describe('sourceCases', () => {
  const failedBy = (make: () => Source<Row>, facts: object = {}) =>
    failed(sourceCases(make, { rows, ...facts }))

  it('passes a good source', async () => {
    expect(await failedBy(() => source(good))).toEqual([])
  })

  it.each<[string, (request: ReadRequest) => AsyncIterable<Batch<Row>>, string]>([
    [
      'loses a row',
      async function* (request) {
        for await (const batch of good(request)) yield { ...batch, rows: batch.rows.slice(0, 9) }
      },
      'gives its rows in order',
    ],
    [
      'gives empty batches',
      async function* (request) {
        yield rowsBatch<Row>([])
        yield* good(request)
      },
      'gives no empty batch without a cursor',
    ],
    [
      'has a cursor that is one row late',
      async function* (request) {
        const from = request.from as { row: number } | undefined
        yield* good({ ...request, from: from && { row: from.row - 1 } })
      },
      "goes on from any of its cursors, without loss or repetition (form 'rows')",
    ],
    [
      'uses one array for all batches',
      async function* (request) {
        const shared: Row[] = []
        for await (const batch of good(request)) {
          shared.splice(0, shared.length, ...batch.rows)
          yield { ...batch, rows: shared }
        }
      },
      'lets go of the rows it gave',
    ],
    [
      'pays no heed to the signal',
      (request) => good({ ...request, signal: undefined }),
      'does nothing under a signal that has aborted',
    ],
    [
      'declares another number',
      async function* (request) {
        yield* good({ ...request, expect: undefined })
        request.expect?.(7)
      },
      'counts its rows right where it declares them',
    ],
    [
      'reads everything at once',
      async function* (request) {
        const batches: Batch<Row>[] = []
        for await (const batch of good(request))
          batches.push({ ...batch, rows: [{ text: 'x'.repeat(1000) }] })
        yield* batches
      },
      'gives its rows in order',
    ],
  ])('catches one that %s', async (_fault, read, name) => {
    expect(await failedBy(() => source(read))).toContain(name)
  })

  it('catches one that opens too early, and one that does not close', async () => {
    let open = 0
    const eager = () =>
      source((request) => {
        open++
        return (async function* () {
          try {
            yield* good(request)
          } finally {
            open--
          }
        })()
      })
    expect(await failedBy(eager, { open: () => open })).toContain('opens nothing before the first pull')
    open = 0
    const leaky = () =>
      source(async function* (request) {
        open++
        yield* good(request)
        open--
      })
    const names = await failedBy(leaky, { open: () => Math.max(0, open) })
    expect(names).toContain('closes when the reader leaves early')
    expect(names).toContain('closes when the reader fails')
  })

  it('catches one that does not notice the signal while it waits', async () => {
    const deaf = () =>
      source(async function* () {
        yield rowsBatch<Row>([{ n: 1 }])
        await sleep(60_000, undefined, { ref: false })
      })
    expect(await failedBy(() => source(good), { stalled: deaf })).toEqual([
      'settles soon when the signal aborts while it waits',
    ])
  })
})

describe('transformCases', () => {
  type Step = Transform<Row, Row>
  const output = rows.filter((row) => row.n % 2 === 0)
  const keep = (row: Row) => (row.n as number) % 2 === 0
  const failedBy = (make: () => Step) => failed(transformCases(make, { input: rows as Row[], output }))
  const facts = { wants: 'rows', memory: false, count: 'fewer' } as const

  it('passes a good transform', async () => {
    expect(await failedBy(() => filter(keep))).toEqual([])
  })

  it.each<[string, () => Step, string]>([
    [
      'changes rows',
      () =>
        Object.assign(async function* (input: AsyncIterable<Batch<Row>>) {
          for await (const batch of filter(keep)(input)) {
            for (const row of batch.rows) row.n = Number(row.n)
            yield batch
          }
        }, facts),
      'changes no row that it was given',
    ],
    [
      'swallows cursors',
      () =>
        Object.assign(async function* (input: AsyncIterable<Batch<Row>>) {
          for await (const batch of filter(keep)(input)) if (batch.rows.length > 0) yield batch
        }, facts),
      'gives no empty batch without a cursor, and passes on empty batches that have one',
    ],
    [
      'holds rows back and lets their cursor go',
      () =>
        Object.assign(async function* (input: AsyncIterable<Batch<Row>>) {
          let held: readonly Row[] = []
          for await (const batch of filter(keep)(input)) {
            yield { rows: held, cursor: batch.cursor }
            held = batch.rows
          }
          if (held.length > 0) yield { rows: held }
        }, facts),
      'gives a cursor only with all rows that it covers',
    ],
    [
      'remembers across uses',
      () => {
        let seen = 0
        return Object.assign(async function* (input: AsyncIterable<Batch<Row>>) {
          for await (const batch of input)
            yield { ...batch, rows: batch.rows.filter((row) => keep(row) && seen++ < output.length) }
        }, facts)
      },
      'keeps what it remembers to one use',
    ],
    [
      'breaks its word about the count',
      () =>
        Object.assign((input: AsyncIterable<Batch<Row>>) => filter(keep)(input), {
          ...facts,
          count: 'same' as const,
        }),
      'keeps to its word about the count',
    ],
  ])('catches one that %s', async (_fault, make, name) => {
    expect(await failedBy(make)).toContain(name)
  })
})

describe('sinkCases', () => {
  const failedBy = (make: () => Sink<Row>, read: () => readonly unknown[], facts: object = {}) =>
    failed(
      sinkCases<Row>(
        () => {
          const sink = make()
          return { sink: () => sink, read, ...facts }
        },
        { rows },
      ),
    )

  it('passes a good sink', async () => {
    let sink = memorySink<Row>()
    const names = await failedBy(
      () => {
        sink = memorySink<Row>()
        return sink
      },
      () => sink.rows,
    )
    expect(names).toEqual([])
  })

  function listSink(
    change: (kept: unknown[], sink: RowSink<Row>) => Partial<RowSink<Row>>,
  ): () => Promise<string[]> {
    let kept: unknown[] = []
    return () =>
      failedBy(
        () => {
          kept = []
          const plain: RowSink<Row> = {
            name: 'list',
            write: async (frame) => {
              kept.push(...frame.rows)
              return undefined
            },
          }
          return { ...plain, ...change(kept, plain) }
        },
        () => kept,
      )
  }

  it.each<[string, (kept: unknown[], sink: RowSink<Row>) => Partial<RowSink<Row>>, string]>([
    [
      'loses the last row of a frame',
      (kept) => ({
        write: async (frame) => {
          kept.push(...frame.rows.slice(0, -1))
          return undefined
        },
      }),
      'writes all rows, and the ledger says so',
    ],
    [
      'changes rows',
      (kept) => ({
        write: async (frame) => {
          for (const row of frame.rows) {
            row.n = Number(row.n)
            kept.push(row)
          }
          return undefined
        },
      }),
      'changes no row that it was given',
    ],
    [
      'says once and writes twice',
      (kept) => {
        let flushed = 0
        return {
          delivery: 'once',
          flush: async () => {
            kept.push(...kept.slice(flushed, flushed + 1))
            flushed = kept.length
            return undefined
          },
        }
      },
      'writes all rows, and the ledger says so',
    ],
    [
      'says once and does not cut back',
      () => ({
        delivery: 'once',
        flush: async () => ({}),
        open: async ({ saved }) => {
          if (saved !== undefined) throw new Error('cannot')
        },
      }),
      'leaves what a resumed run needs, or says that it cannot',
    ],
    [
      'cannot be closed twice',
      () => {
        let closed = false
        return {
          close: async () => {
            if (closed) throw new Error('closed twice')
            closed = true
          },
        }
      },
      'is closed twice, and without being opened, without harm',
    ],
    [
      'writes after the run',
      (kept) => ({
        close: async () => void setImmediate(() => setImmediate(() => kept.push({ late: true }))),
      }),
      'writes nothing once a failed run has ended',
    ],
  ])('catches one that %s', async (_fault, change, name) => {
    expect(await listSink(change)()).toContain(name)
  })

  it('catches an encoder that writes beyond its room', async () => {
    const sink = (): BodySink<Row> => ({
      name: 'bodies',
      encoder: () => ({
        put: (batch, index, _ordinal, into, at) => {
          const end = putRow(batch, index, into, at)
          return end < 0 ? into.length : end
        },
      }),
      write: async () => undefined,
    })
    const names = await failed(sinkCases<Row>(() => ({ sink }), { rows }))
    expect(names).toContain('puts a row into a body only where there is room for all of it')
  })

  it('catches a sink that goes on waiting after an abort', async () => {
    const sink: RowSink<Row> = { name: 'deaf', write: () => new Promise(() => {}) }
    let open = 0
    const cases = sinkCases<Row>(
      () => ({ sink: () => ({ ...sink, open: async () => void open++ }), stall: () => {}, open: () => open }),
      { rows },
    )
    const abort = cases.filter((one) => one.name.startsWith('stops when the signal aborts'))
    expect(await failed(abort)).toHaveLength(1)
  })
})
