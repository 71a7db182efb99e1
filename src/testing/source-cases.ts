/** What every source must show. */
import { deepStrictEqual, equal, notEqual, ok } from 'node:assert/strict'
import { once } from 'node:events'
import { byteSize, size } from '../batch.js'
import type { Batch, Cursor, Partition, ReadRequest, Source, Verdict } from '../contracts.js'
import { isEtlError } from '../errors.js'
import { toReadable } from '../interop.js'
import {
  type ContractCase,
  codeOf,
  deepFreeze,
  pushRows,
  quiet,
  rowsOf,
  sameRows,
  saved,
  within,
} from './case.js'

/** An input that must fail. */
export interface BrokenSource {
  /** What is wrong with it. */
  readonly name: string
  readonly make: () => Source<never> | Source
  readonly code: string
  /** Default `'never'`. */
  readonly verdict?: Verdict | undefined
}

export interface SourceFacts<R> {
  /** All rows, in order. Some thousand, over several batches, show the most. */
  readonly rows: readonly R[]
  /** Batches carry cursors that a later read can start from. Default true. */
  readonly resumable?: boolean | undefined
  /** Resources (files, connections) that are open now. Without it, releasing them is not checked. */
  readonly open?: (() => number) | undefined
  /** Bytes of rows, as JSON, that may be held for a reader that stalls. Default 8 MiB. */
  readonly aheadBytes?: number | undefined
  /** A source like it whose input stops coming, after some rows or none, and never ends. */
  readonly stalled?: (() => Source<R> | Promise<Source<R>>) | undefined
  readonly broken?: readonly BrokenSource[] | undefined
}

/** How many cursors are tried, evenly spread. */
const RESUMES = 12
/** The high-water mark of a Readable of rows. */
const ROWS_AHEAD = 64

/**
 * `make` is called anew in every case and gives a source of the same fixed input each time.
 *
 *     for (const { name, run } of sourceCases(() => csvSource(path), { rows })) test(name, run)
 */
export function sourceCases<R>(
  make: () => Source<R> | Promise<Source<R>>,
  facts: SourceFacts<R>,
): ContractCase[] {
  const { rows, resumable = true, open, aheadBytes = 8 * 1024 * 1024, stalled, broken = [] } = facts
  const cases: ContractCase[] = []
  const add = (name: string, run: (source: Source<R>) => Promise<void>) => {
    cases.push({ name, run: async () => run(await make()) })
  }
  const released = async (when: string) => {
    if (open === undefined) return
    await quiet(open)
    equal(open(), 0, `resources are open ${when}`)
  }

  add('gives its rows in order', async (source) => {
    sameRows(await rowsOf(source), rows, 'the read')
  })

  add('gives the same rows again when it is read twice', async (source) => {
    sameRows(await rowsOf(source), rows, 'the first read')
    sameRows(await rowsOf(source), rows, 'the second read')
  })

  add('gives the same rows in any form', async (source) => {
    sameRows(await rowsOf(source, { form: 'any' }), rows, "form 'any'")
    sameRows(await rowsOf(source, { form: 'rows' }), rows, "form 'rows'")
  })

  add('gives parsed rows to who does not ask for a form', async (source) => {
    for await (const batch of source.read({})) ok(Array.isArray(batch.rows))
  })

  add('gives no empty batch without a cursor', async (source) => {
    for (const form of ['rows', 'any'] as const) {
      for await (const batch of source.read({ form })) {
        ok(size(batch) > 0 || batch.cursor !== undefined, 'a batch has neither rows nor a cursor')
      }
    }
  })

  add('lets go of the rows it gave', async (source) => {
    const got: R[] = []
    for await (const batch of source.read({})) {
      deepFreeze(batch.rows)
      got.push(...batch.rows)
    }
    sameRows(got, rows, 'a read whose batches were frozen')
  })

  add('opens nothing before the first pull', async (source) => {
    const batches = source.read({})
    await released('before the first pull')
    const iterator = batches[Symbol.asyncIterator]()
    await released('before the first pull')
    await iterator.return?.()
  })

  add('closes when it is read to its end', async (source) => {
    await rowsOf(source)
    await released('after the end')
  })

  add('closes when the reader leaves early', async (source) => {
    for await (const _ of source.read({})) break
    await released('after an early leave')
  })

  add('closes when the reader fails', async (source) => {
    const failing = async () => {
      for await (const _ of source.read({})) throw new Error('the reader failed')
    }
    await failing().catch(() => {})
    await released('after the reader failed')
  })

  add('does nothing under a signal that has aborted', async (source) => {
    const code = await codeOf(rowsOf(source, { signal: AbortSignal.abort() }))
    if (rows.length > 0) equal(code, 'ETL_ABORTED')
    await released('after an abort')
  })

  add('stops when the signal aborts between two batches', async (source) => {
    const stop = new AbortController()
    let seen = 0
    const reading = async () => {
      for await (const batch of source.read({ signal: stop.signal })) {
        seen += size(batch)
        stop.abort()
      }
    }
    const code = await within(codeOf(reading()), 'an aborted read')
    if (code !== undefined) equal(code, 'ETL_ABORTED')
    ok(code !== undefined || seen === rows.length, 'the read ended early without an error')
    await released('after an abort')
  })

  if (stalled !== undefined) {
    cases.push({
      name: 'settles soon when the signal aborts while it waits',
      async run() {
        const source = await stalled()
        const stop = new AbortController()
        let batches = 0
        const reading = async () => {
          for await (const _ of source.read({ signal: stop.signal })) batches++
        }
        const work = codeOf(reading())
        await quiet(() => batches)
        stop.abort()
        equal(await within(work, 'an aborted read'), 'ETL_ABORTED')
        await released('after an abort')
      },
    })
  }

  add('counts its rows right where it declares them', async (source) => {
    let declared: number | undefined
    await rowsOf(source, {
      expect: (count) => {
        declared = count
      },
    })
    if (declared !== undefined) equal(declared, rows.length, 'the number of rows it declared')
  })

  add('gives the first rows under a limit', async (source) => {
    const limit = Math.ceil(rows.length / 3)
    const got = await rowsOf(source, { limit })
    ok(got.length >= limit, `a limit of ${limit} gave only ${got.length} rows`)
    sameRows(got.slice(0, limit), rows.slice(0, limit), 'a limited read')
  })

  if (resumable) {
    for (const form of ['rows', 'any'] as const) {
      add(`goes on from any of its cursors, without loss or repetition (form '${form}')`, async (source) => {
        await resumesFrom(source, { form }, rows)
      })
    }
  }

  add('has partitions that together are the whole, and resume', async (source) => {
    const partitions = (await source.partitions?.({})) ?? []
    if (partitions.length === 0) return
    const ids = partitions.map((partition) => partition.id)
    equal(new Set(ids).size, ids.length, 'partition ids repeat')
    const got: R[] = []
    for (const given of partitions) {
      ok(
        /^[A-Za-z0-9_~-]+$/.test(given.id),
        `partition id ${given.id} has other characters than A-Z a-z 0-9 - _ ~`,
      )
      const partition = JSON.parse(JSON.stringify(given)) as Partition
      const part = await rowsOf(source, { partition })
      if (resumable) await resumesFrom(source, { partition }, part)
      got.push(...part)
    }
    sameRows(got, rows, 'all partitions')
  })

  for (const { name, make: makeBroken, code, verdict = 'never' } of broken) {
    cases.push({
      name: `says what is wrong: ${name}`,
      async run() {
        const error = await rowsOf(makeBroken() as Source<unknown>).then(
          () => undefined,
          (thrown: unknown) => thrown,
        )
        ok(isEtlError(error), `expected an EtlError, got ${error}`)
        deepStrictEqual([error.code, error.verdict], [code, verdict])
        notEqual(error.message, '')
        equal(await codeOf(drained(makeBroken() as Source<unknown>)), code, 'through a Readable')
        await released('after an error')
      },
    })
  }

  add('is a Readable of its rows', async (source) => {
    sameRows(await drained(source), rows, 'the Readable')
    const got: R[] = []
    for await (const batch of toReadable(source, { by: 'batches' })) pushRows(batch, got)
    sameRows(got, rows, 'the Readable of batches')
    await released('after the Readable ended')
  })

  for (const by of ['rows', 'batches'] as const) {
    add(
      `stays within its bound while a reader of the Readable stalls, and releases all (${by})`,
      async (source) => {
        const held = { bytes: 0, batches: 0, rowsBefore: 0, rows: 0 }
        const counted: Source<R> = { ...source, read: (request) => countInto(held, source.read(request)) }
        const readable = by === 'rows' ? toReadable(counted) : toReadable(counted, { by: 'batches' })
        readable.read(0)
        await quiet(() => held.batches + (open?.() ?? 0))
        ok(
          held.bytes <= aheadBytes,
          `${held.bytes} bytes were read for a reader that stalls; the bound is ${aheadBytes}`,
        )
        // Of small batches as many as fill the buffer of the stream.
        ok(
          held.batches <= 2 || held.rowsBefore <= ROWS_AHEAD,
          `${held.batches} batches were read for a reader that stalls`,
        )
        readable.destroy()
        if (!readable.closed) await within(once(readable, 'close'), 'a destroyed Readable')
        await released('after the Readable was destroyed')
      },
    )
  }

  return cases
}

async function drained<R>(source: Source<R>): Promise<R[]> {
  const got: R[] = []
  for await (const row of toReadable(source)) got.push(row)
  return got
}

async function resumesFrom<R>(source: Source<R>, request: ReadRequest, wanted: readonly R[]): Promise<void> {
  const marks: { readonly cursor: Cursor; readonly rows: number }[] = []
  let seen = 0
  for await (const batch of source.read(request)) {
    seen += size(batch)
    if (batch.cursor !== undefined) marks.push({ cursor: saved(batch.cursor), rows: seen })
  }
  ok(marks.length > 0 || wanted.length === 0, 'no batch carried a cursor')
  const step = Math.max(1, Math.floor(marks.length / RESUMES))
  for (const [index, mark] of marks.entries()) {
    if (index % step !== 0 && index !== marks.length - 1) continue
    const rest = await rowsOf(source, { ...request, from: mark.cursor })
    sameRows(rest, wanted.slice(mark.rows), `the rest after cursor ${JSON.stringify(mark.cursor)}`)
  }
}

async function* countInto<R>(
  held: { bytes: number; batches: number; rowsBefore: number; rows: number },
  batches: AsyncIterable<Batch<R>>,
) {
  for await (const batch of batches) {
    held.batches++
    held.rowsBefore = held.rows
    held.rows += size(batch)
    held.bytes += byteSize(batch)
    yield batch
  }
}
