/** What every transform must show. */
import { deepStrictEqual, equal, ok } from 'node:assert/strict'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { isParsed, rowAt, size, textBatch } from '../batch.js'
import type { Batch, Cursor, RejectedRow, Transform } from '../contracts.js'
import { toTransform } from '../interop.js'
import { stringifyJson } from '../json.js'
import { type ContractCase, codeOf, deepFreeze, pushRows, quiet, sameRows, within } from './case.js'
import { rowsSource } from './rows-source.js'

export interface TransformFacts<I, O> {
  readonly input: readonly I[]
  /** What the input becomes. */
  readonly output: readonly O[]
  /** A row that it must reject, put in the middle of the input, and the code of the rejection. */
  readonly rejects?: { readonly row: I; readonly code: string } | undefined
}

const CUTS = [1, 3, 1000]

/**
 * `make` is called anew in every case.
 *
 *     const facts = { input: [{ n: 1 }, { n: 2 }], output: [{ n: 2 }] }
 *     for (const { name, run } of transformCases(() => filter((row) => row.n > 1), facts)) test(name, run)
 */
export function transformCases<I, O>(
  make: () => Transform<I, O>,
  facts: TransformFacts<I, O>,
): ContractCase[] {
  const { input, output, rejects } = facts
  const cases: ContractCase[] = []
  const add = (name: string, run: () => Promise<void>) => cases.push({ name, run })
  const batches = (batchRows: number) => rowsSource(input, { batchRows }).read({})

  add('makes of its input what it should, however that is cut', async () => {
    for (const cut of CUTS) sameRows(await all(make()(batches(cut))), output, `batches of ${cut}`)
  })

  add('gives no empty batch without a cursor, and passes on empty batches that have one', async () => {
    for await (const batch of make()(batches(1))) ok(size(batch) > 0 || batch.cursor !== undefined)
    const cursors: unknown[] = []
    for await (const batch of make()(list([{ rows: [], cursor: 7 }]))) cursors.push(batch.cursor)
    if (make().memory === false) deepStrictEqual(cursors, [7])
  })

  add('changes no row that it was given', async () => {
    const frozen = deepFreeze(structuredClone(input))
    sameRows(await all(make()(rowsSource(frozen, { batchRows: 3 }).read({}))), output, 'frozen rows')
  })

  add('keeps what it remembers to one use', async () => {
    const transform = make()
    const one = transform(batches(2))[Symbol.asyncIterator]()
    const two = transform(batches(3))[Symbol.asyncIterator]()
    const got: [O[], O[]] = [[], []]
    for (let left = 2; left > 0; ) {
      left = 0
      for (const [k, iterator] of [one, two].entries()) {
        const next = await iterator.next()
        if (next.done) continue
        left++
        pushRows(next.value, got[k] as O[])
      }
    }
    sameRows(got[0], output, 'the first of two uses side by side')
    sameRows(got[1], output, 'the second of two uses side by side')
  })

  add('keeps to its word about the count', async () => {
    const { count = 'any' } = make()
    if (count === 'same') equal(output.length, input.length)
    if (count === 'fewer') ok(output.length <= input.length)
  })

  add('gives a cursor only with all rows that it covers', async () => {
    const transform = make()
    if (transform.memory !== false) {
      await cursorsInOrder(transform(batches(2)))
      return
    }
    const got: O[] = []
    for await (const batch of transform(batches(2))) {
      pushRows(batch, got)
      if (batch.cursor === undefined) continue
      const { row } = batch.cursor as { readonly row: number }
      const covered = await all(make()(rowsSource(input.slice(0, row)).read({})))
      sameRows(got, covered, `the rows up to cursor ${row}`)
    }
  })

  add("looks inside no row where it wants 'any' form", async () => {
    if (make().wants !== 'any') return
    const got: O[] = []
    for await (const batch of make()(list([unparsed(input)]))) {
      ok(!isParsed(batch) || size(batch) === 0, 'text went in and parsed rows came out')
      for (let i = 0; i < size(batch); i++) got.push(rowAt(batch, i))
    }
    deepStrictEqual(got.map(stringifyJson), output.map(stringifyJson))
  })

  add('closes its input when it is left early, and fails with it', async () => {
    const closing = watched(batches(1))
    for await (const _ of make()(closing.batches)) break
    equal(closing.closed(), output.length === 0 ? closing.closed() : 1, 'the input was not closed')
    const failing = rowsSource(input, { batchRows: 1, failAfterRows: Math.ceil(input.length / 2) }).read({})
    equal(await codeOf(all(make()(failing))), 'ETL_TEST_FAULT')
  })

  if (rejects !== undefined) {
    const middle = input.length >> 1
    const withBad = [...input.slice(0, middle), rejects.row, ...input.slice(middle)]
    const bad = () => rowsSource(withBad, { batchRows: 4 }).read({})

    add('rejects a row that it cannot change, with its place, and goes on', async () => {
      const rejected: RejectedRow[] = []
      const got = await all(make()(bad(), { reject: (row) => rejected.push(row) }))
      sameRows(got, output, 'the other rows')
      deepStrictEqual(
        rejected.map(({ row, code, position }) => ({ row, code, position })),
        [{ row: rejects.row, code: rejects.code, position: { file: 'rows', row: middle + 1 } }],
      )
    })

    add('throws where nobody takes rejected rows', async () => {
      equal(await codeOf(all(make()(bad()))), rejects.code)
      const through = Readable.from(withBad).pipe(toTransform(make()))
      equal(await codeOf(collect(through)), rejects.code, 'as a Transform')
    })
  }

  add('is a Node Transform of rows', async () => {
    const options = { batchRows: 3 }
    sameRows(await collect(Readable.from(input).pipe(toTransform(make(), options))), output, 'the Transform')
  })

  add(
    'holds back a writer while nobody reads the Transform, and releases all when it is destroyed',
    async () => {
      if (input.length === 0) return
      const stream = toTransform(make(), { batchRows: 5 })
      let failure: unknown
      stream.on('error', (error) => {
        failure = error
      })
      let written = 0
      const fill = () => {
        while (written < 10_000 && !stream.destroyed) {
          const more = stream.write(input[written++ % input.length])
          if (!more) return void stream.once('drain', fill)
        }
      }
      fill()
      await quiet(() => written)
      if (output.length * 2 >= input.length)
        ok(written < 2000, `${written} rows went into a Transform that nobody reads`)
      stream.destroy()
      if (!stream.closed) await within(once(stream, 'close'), 'a destroyed Transform')
      if (failure !== undefined) throw failure
    },
  )

  return cases
}

async function all<O>(batches: AsyncIterable<Batch<O>>): Promise<O[]> {
  const rows: O[] = []
  for await (const batch of batches) pushRows(batch, rows)
  return rows
}

async function collect(stream: AsyncIterable<unknown>): Promise<unknown[]> {
  const rows: unknown[] = []
  for await (const row of stream) rows.push(row)
  return rows
}

async function* list<I>(batches: readonly Batch<I>[]): AsyncGenerator<Batch<I>> {
  yield* batches
}

async function cursorsInOrder(batches: AsyncIterable<Batch<unknown>>): Promise<void> {
  let last = 0
  for await (const { cursor } of batches) {
    if (cursor === undefined) continue
    const { row } = cursor as { readonly row: number }
    ok(row >= last, `cursor ${row} came after ${last}`)
    last = row
  }
}

function unparsed<I>(rows: readonly I[]): Batch<I> {
  const starts: number[] = []
  const ends: number[] = []
  let text = ''
  for (const row of rows) {
    starts.push(Buffer.byteLength(text))
    text += stringifyJson(row)
    ends.push(Buffer.byteLength(text))
  }
  return textBatch<I>({ bytes: Buffer.from(text), starts, ends, count: rows.length }, 1 as Cursor)
}

function watched<I>(batches: AsyncIterable<Batch<I>>): {
  batches: AsyncIterable<Batch<I>>
  closed: () => number
} {
  let closed = 0
  async function* through(): AsyncGenerator<Batch<I>> {
    try {
      yield* batches
    } finally {
      closed++
    }
  }
  return { batches: through(), closed: () => closed }
}
