/** What every sink must show. */
import { deepStrictEqual, equal, ok } from 'node:assert/strict'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { rowsBatch } from '../batch.js'
import { isBodySink } from '../batcher.js'
import { memoryCheckpoint } from '../checkpoint.js'
import type { Sink } from '../contracts.js'
import { toReadable, toWritable } from '../interop.js'
import { from } from '../pipeline.js'
import { type RunReport, reportOf } from '../report.js'
import type { RunOptions } from '../run-options.js'
import { type ContractCase, codeOf, deepFreeze, quiet, sameRows, sorted, within } from './case.js'
import { rowsSource } from './rows-source.js'

/** One empty destination, which several sinks may write to one after another. */
export interface Destination<R> {
  /** A sink that writes there. */
  readonly sink: () => Sink<R>
  /** The rows that are there now. Absent where nobody can look. */
  readonly read?: (() => Promise<readonly unknown[]> | readonly unknown[]) | undefined
  /** Makes the other side silent: the next write, and those after it, get no answer. */
  readonly stall?: (() => void) | undefined
  /** Makes the other side refuse, or whatever else the rows of `rejects` need. */
  readonly arrangeRejects?: ((frameRows: number, badIndexes: readonly number[]) => void) | undefined
  /** Resources that are open now, in this process. */
  readonly open?: (() => number) | undefined
  readonly dispose?: (() => Promise<void> | void) | undefined
}

export interface SinkFacts<R> {
  /** Rows to write, a hundred or more, all different. */
  readonly rows: readonly R[]
  /** `read` gives them in the order written. Default true. */
  readonly ordered?: boolean | undefined
  /** Rows that are refused, and the code of the rejection. */
  readonly rejects?: { readonly rows: readonly R[]; readonly code: string } | undefined
  /** A sink that cannot be written to, and the code of the error. */
  readonly broken?: { readonly make: () => Sink<R>; readonly code: string } | undefined
}

const FRAME_ROWS = 10
const GRACE_MS = 200

/**
 * `make` is called anew in every case and gives an empty destination each time.
 *
 *     for (const { name, run } of sinkCases(() => tableInMemory(), { rows })) test(name, run)
 */
export function sinkCases<R extends object>(
  make: () => Destination<R> | Promise<Destination<R>>,
  facts: SinkFacts<R>,
): ContractCase[] {
  const { rows, ordered = true, rejects, broken } = facts
  const half = rows.length >> 1
  const cases: ContractCase[] = []
  const add = (name: string, run: (there: Destination<R>) => Promise<void>) => {
    cases.push({
      name,
      async run() {
        const there = await make()
        try {
          await run(there)
        } finally {
          await there.dispose?.()
        }
      },
    })
  }
  const mustHold = async (there: Destination<R>, wanted: readonly R[], what: string) => {
    if (there.read === undefined) return
    const got = await there.read()
    if (ordered) sameRows(got, wanted, what)
    else sameRows(sorted(got), sorted(wanted), what)
  }
  const mustBeReleased = async (there: Destination<R>, when: string) => {
    if (there.open === undefined) return
    await quiet(there.open)
    equal(there.open(), 0, `resources are open ${when}`)
  }
  const run = (sink: Sink<R>, options: RunOptions = {}) =>
    from(rowsSource(rows, { batchRows: 7 }))
      .to(sink)
      .run(options)

  add('writes all rows, and the ledger says so', async (there) => {
    const report = await run(there.sink())
    await mustHold(there, rows, 'the destination')
    mustCount(report, rows.length, 0)
    await mustBeReleased(there, 'after the run')
  })

  add('writes all rows through frames of any size', async (there) => {
    await run(inFrames(there.sink(), FRAME_ROWS))
    await mustHold(there, rows, `the destination, written in frames of ${FRAME_ROWS}`)
  })

  add('changes no row that it was given', async (there) => {
    const frozen = deepFreeze(structuredClone(rows))
    await from(rowsSource(frozen)).to(there.sink()).run()
    await mustHold(there, rows, 'the destination, from frozen rows')
  })

  add('ends well without any row', async (there) => {
    mustCount(await from(rowsSource<R>([])).to(there.sink()).run(), 0, 0)
    await mustHold(there, [], 'the destination')
  })

  add('is closed twice, and without being opened, without harm', async (there) => {
    const sink = there.sink()
    await sink.close?.(false)
    await run(sink)
    await sink.close?.(true)
    await sink.close?.(false)
    await mustHold(there, rows, 'the destination')
  })

  add('can be run once more', async (there) => {
    const sink = there.sink()
    await run(sink)
    mustCount(await run(sink), rows.length, 0)
    const got = await there.read?.()
    if (got !== undefined)
      ok([rows.length, 2 * rows.length].includes(got.length), `two runs left ${got.length} rows`)
  })

  if (rejects !== undefined) {
    add('rejects the rows at fault, and writes their neighbours', async (there) => {
      const mixed = [...rows.slice(0, half), ...rejects.rows, ...rows.slice(half)]
      there.arrangeRejects?.(
        mixed.length,
        rejects.rows.map((_, index) => half + index),
      )
      const sink = inFrames(there.sink(), mixed.length)
      const report = await from(rowsSource(mixed, { batchRows: mixed.length }))
        .to(sink)
        .run({ onError: 'skip' })
      await mustHold(there, rows, 'the neighbours')
      mustCount(report, rows.length, rejects.rows.length)
      deepStrictEqual(report.rejectedByCode, { [rejects.code]: rejects.rows.length })
      const [first] = report.rejectedRows
      deepStrictEqual([first?.row, first?.position?.row, first?.by], [rejects.rows[0], half + 1, sink.name])
    })
  }

  add('writes nothing once a failed run has ended', async (there) => {
    const sink = inFrames(there.sink(), FRAME_ROWS)
    const failing = from(rowsSource(rows, { batchRows: 7, failAfterRows: half })).to(sink)
    const report = await failing.run().catch(reportOf)
    equal(report?.status, 'failed')
    const before = (await there.read?.())?.length ?? 0
    let turns = 0
    await quiet(() => Math.min(turns++, 200))
    equal((await there.read?.())?.length ?? 0, before, 'rows came after the run had ended')
    ok(before <= half, `${before} rows are there of ${half} that were read`)
    await mustBeReleased(there, 'after a failed run')
  })

  add('leaves what a resumed run needs, or says that it cannot', async (there) => {
    const checkpoint = memoryCheckpoint()
    const options = { checkpoint, checkpointEveryMs: 0 }
    const sink = inFrames(there.sink(), FRAME_ROWS)
    const first = from(rowsSource(rows, { batchRows: 7, failAfterRows: rows.length - 3 })).to(sink)
    // The name of the source is the same, so the checkpoint is good for both.
    const code = await codeOf(first.run(options))
    if (sink.notResumable !== undefined) {
      equal(code, 'ETL_SINK_NOT_RESUMABLE')
      return
    }
    equal(code, 'ETL_TEST_FAULT')
    const report = await run(inFrames(there.sink(), FRAME_ROWS), options)
    ok(report.resumed)
    mustCount(report, rows.length, 0)
    const got = await there.read?.()
    if (got === undefined) return
    if (sink.delivery === 'once') await mustHold(there, rows, 'the destination after a resumed run')
    else {
      const texts = new Set(got.map((row) => JSON.stringify(row)))
      for (const row of rows) ok(texts.has(JSON.stringify(row)), `a resumed run lost ${JSON.stringify(row)}`)
    }
  })

  add('stops when the signal aborts, even while the other side is silent', async (there) => {
    there.stall?.()
    const stop = new AbortController()
    let read = 0
    const source = rowsSource(rows, { batchRows: 7 })
    const counted = from(source).filter(() => ++read > 0)
    const work = counted
      .to(inFrames(there.sink(), FRAME_ROWS))
      .run({ signal: stop.signal, graceMs: GRACE_MS })
    work.catch(() => {})
    if (there.stall === undefined) stop.abort()
    else {
      await within(
        until(() => read > FRAME_ROWS),
        'reading',
      )
      await quiet(() => read)
      stop.abort()
    }
    equal(await within(codeOf(work), 'an aborted run', 5000), 'ETL_ABORTED')
    await mustBeReleased(there, 'after an abort')
  })

  add('puts a row into a body only where there is room for all of it', async (there) => {
    const sink = there.sink()
    if (!isBodySink(sink)) return
    const batch = rowsBatch(rows.slice(0, 3))
    const lane = { runId: 'run', partition: '0' }
    const roomy = Buffer.alloc(1024 * 1024)
    const encoder = sink.encoder(lane)
    for (let index = 0; index < batch.rows.length; index++) {
      const end = encoder.put(batch, index, index, roomy, 100)
      ok(end > 100, 'a row took no room')
      const bytes = roomy.toString('utf8', 100, end)
      // The exact end may want a spare byte or two; without the last byte it cannot fit.
      equal(
        encoder.put(batch, index, index, Buffer.alloc(end - 1), 100),
        -1,
        'a row went into too small a body',
      )
      const again = Buffer.alloc(end + 64)
      equal(encoder.put(batch, index, index, again, 100), end)
      equal(again.toString('utf8', 100, end), bytes, 'the same row gave other bytes')
      ok(
        again.subarray(0, 100).every((byte) => byte === 0),
        'a row was written before its place',
      )
    }
  })

  add('is a Node Writable of rows, and of batches', async (there) => {
    const out = toWritable(there.sink())
    await pipeline(Readable.from(rows), out)
    mustCount(out.report as RunReport, rows.length, 0)
    await mustHold(there, rows, 'the destination of a Writable')
    const other = await make()
    try {
      const batches = toReadable(rowsSource(rows), { by: 'batches' })
      await pipeline(batches, toWritable(other.sink(), { by: 'batches' }))
      await mustHold(other, rows, 'the destination of a Writable of batches')
    } finally {
      await other.dispose?.()
    }
  })

  add('releases all when the Writable is destroyed', async (there) => {
    const out = toWritable(inFrames(there.sink(), FRAME_ROWS), { graceMs: GRACE_MS })
    let failure: unknown
    out.on('error', (error) => {
      failure = error
    })
    for (const row of rows.slice(0, half)) out.write(row)
    let turns = 0
    await quiet(() => Math.min(turns++, 10))
    out.destroy()
    if (!out.closed) await within(once(out, 'close'), 'a destroyed Writable', 5000)
    if (failure !== undefined) throw failure
    await mustBeReleased(there, 'after the Writable was destroyed')
  })

  if (broken !== undefined) {
    cases.push({
      name: 'fails with what is wrong, as a sink and as a Writable',
      async run() {
        const failing = from(rowsSource(rows)).to(broken.make())
        equal(await codeOf(failing.run({ retry: { attempts: 1 } })), broken.code)
        const out = toWritable(broken.make(), { retry: { attempts: 1 } })
        equal(await codeOf(pipeline(Readable.from(rows), out)), broken.code, 'as a Writable')
        equal(out.report?.status, 'failed')
      },
    })
  }

  return cases
}

function mustCount(report: RunReport, written: number, rejected: number): void {
  const { sink, balanced } = report.ledger
  deepStrictEqual(
    { written: sink.written, rejected: sink.rejected, unresolved: sink.unresolved, balanced },
    { written, rejected, unresolved: 0, balanced: true },
  )
}

/** The same sink, given at most so many rows at once. */
function inFrames<R>(sink: Sink<R>, frameRows: number): Sink<R> {
  return { ...sink, limits: { ...sink.limits, rows: frameRows } }
}

async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setImmediate(resolve))
}
