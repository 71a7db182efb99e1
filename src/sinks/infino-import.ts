/**
 * Rows into an Infino dataset as files for its import call. The files carry no ids, so delivery is at least once:
 * a resumed run may bring a part twice. Within a run nothing is repeated blindly. Where the fate of a part is
 * unknown (a lost reply, a time-out), the dataset is counted: all of the part there is success, nothing of it
 * there is another try, anything else ends the run with the numbers.
 *
 *     await from(jsonlSource('events.jsonl')).to(infinoImportSink({ dataset: 'events' })).run()
 *
 * While it runs, nobody else may write to the dataset: the counts would say nothing. Prefer `infinoUploadSink`
 * unless the import call is what you want.
 */
import { putRow } from '../batch.js'
import type { BodyFrame, BodySink, Clock, Encoder, Row, RunContext, WriteContext } from '../contracts.js'
import { EtlError, isEtlError, messageOf, throwIfAborted } from '../errors.js'
import { infinoClient, provablyUndone } from '../infino/client.js'
import type { ImportRun } from '../infino/imports.js'
import { datasetName } from '../infino/names.js'
import type { InfinoClient, InfinoConnection } from '../infino/types.js'
import { systemClock } from '../internal/clock.js'
import { oneOf, wholeNumber } from '../internal/options.js'

export interface InfinoImportSinkOptions extends InfinoConnection {
  /** Created when the run starts, unless it exists. */
  readonly dataset: string
  /** How the rows are written into the part files: a line each, or one array. Default `jsonl`. */
  readonly format?: 'jsonl' | 'json' | undefined
  /** A client that the caller closes; default one of its own, from `endpoint`, `accessKey`, `secretKey`. */
  readonly client?: InfinoClient | undefined
  /** Create the dataset. Default true. */
  readonly create?: boolean | undefined
  /** Bytes of one part file. Default 3,355,443 (3.2 MiB), below the gateway's limit of 4 MB. */
  readonly partBytes?: number | undefined
  /** Rows of one part file. Default: as many as fit. */
  readonly partRows?: number | undefined
  /** A part is sent when its first row has waited so long. Default 10,000 ms. */
  readonly partAgeMs?: number | undefined
  /** Let the server import in its own time, and ask until it is done. Default false. */
  readonly async?: boolean | undefined
  /** Wait before the first question, doubled up to eight times as much. Default 2000 ms. */
  readonly pollMs?: number | undefined
  /** Longest time to wait for one part's end. Default 600,000 ms. */
  readonly pollDeadlineMs?: number | undefined
  /** A count that has not changed for so long is taken as final. Default 10,000 ms. */
  readonly settleMs?: number | undefined
  /** Time for tests. */
  readonly clock?: Clock | undefined
}

const PART_BYTES = 3_355_443

export function infinoImportSink<R = Row>(options: InfinoImportSinkOptions): BodySink<R> {
  const dataset = datasetName(options.dataset)
  const format = oneOf('format', options.format ?? 'jsonl', ['jsonl', 'json'])
  const pollMs = wholeNumber('pollMs', options.pollMs, 2000)
  const deadlineMs = wholeNumber('pollDeadlineMs', options.pollDeadlineMs, 600_000)
  const settleMs = wholeNumber('settleMs', options.settleMs, 10_000)
  const clock = options.clock ?? systemClock
  const isAsync = options.async === true
  const client = options.client ?? infinoClient(options)
  /** Rows in the dataset as of the last part that is settled; undefined where that is not known. */
  let settled: number | undefined

  /** The count once it has stood still for `forMs`; undefined where it cannot be had. */
  const steadyCount = async (
    forMs: number,
    done: (count: number) => boolean,
    context: RunContext,
  ): Promise<number | undefined> => {
    const end = clock.now() + deadlineMs
    let count: number | undefined
    for (let since = clock.now(); ; ) {
      let next: number
      try {
        next = await client.count(dataset, context)
      } catch (error) {
        throwIfAborted(context.signal)
        context.log?.warn(`cannot count the rows of ${dataset}`, { error: String(error) })
        return undefined
      }
      const now = clock.now()
      if (done(next)) return next
      if (next !== count) {
        count = next
        since = now
      } else if (now - since >= forMs) return next
      if (now >= end) return undefined
      await clock.sleep(Math.min(pollMs, forMs), context.signal)
    }
  }

  const follow = async (run: ImportRun, context: RunContext): Promise<ImportRun> => {
    const end = clock.now() + deadlineMs
    let state = run
    for (let wait = pollMs; state.status === 'submitted' || state.status === 'running'; wait *= 2) {
      if (run.runId === undefined) throw ambiguous('the server gave no run id to ask about')
      if (clock.now() >= end) throw ambiguous(`run ${run.runId} did not end within ${deadlineMs} ms`)
      await clock.sleep(Math.min(wait, 8 * pollMs), context.signal)
      try {
        state = await client.job(run.runId, context)
      } catch (error) {
        throwIfAborted(context.signal)
        throw ambiguous(`run ${run.runId} cannot be followed: ${messageOf(error)}`, error)
      }
    }
    return state
  }

  /**
   * What became of a part whose import has no known end: nothing (`false`), all of it (`true`), or a failure.
   * Where the server may still be at work, a dataset that stands still proves nothing.
   */
  const reconcile = async (
    sent: number,
    cause: EtlError,
    stillRunning: boolean,
    context: RunContext,
  ): Promise<boolean> => {
    const before = settled
    const doubt = (seen: string) =>
      new EtlError(
        'ETL_IMPORT_UNRESOLVED',
        `the import of ${sent} rows into ${dataset} has no known end (${cause.message}), and ${seen}; it is not repeated, since that could double rows: compare the dataset with the source`,
        { cause, context: { sent, before, dataset } },
      )
    if (before === undefined) throw doubt('the number of rows before it is not known')
    const forMs = stillRunning ? deadlineMs : settleMs
    const after = await steadyCount(forMs, (count) => count === before + sent, context)
    if (after === before + sent) return true
    if (after === undefined) throw doubt('the dataset could not be counted')
    if (after === before && !stillRunning) return false
    throw doubt(`the dataset has ${after} rows where it had ${before} and ${before + sent} were expected`)
  }

  return {
    name: 'infino-import',
    wants: 'any',
    delivery: 'at-least-once',
    fingerprint: `${client.endpoint}/${dataset}`,
    limits: {
      rows: wholeNumber('partRows', options.partRows, undefined),
      bytes: wholeNumber('partBytes', options.partBytes, PART_BYTES),
      ageMs: wholeNumber('partAgeMs', options.partAgeMs, 10_000),
      // Parts side by side could not be told apart by counting.
      concurrency: 1,
    },
    encoder: () => (format === 'json' ? encoderWith(',\n') : encoderWith('\n')),
    async open(context) {
      const created = options.create === false ? undefined : await client.datasets.create(dataset, context)
      // Rows of an earlier run may show late: a number that still moves would prove the wrong thing later.
      settled = created?.existed === false ? 0 : await steadyCount(pollMs, () => false, context)
    },
    async write(frame, context) {
      if (frame.count === 0) return undefined
      try {
        const request = { dataset, format, file: fileOf(frame, format), async: isAsync }
        const run = await follow(await client.importFile(request, context), context)
        checkComplete(run, frame.count, dataset)
      } catch (error) {
        await settle(error, frame, context)
      }
      if (settled !== undefined) settled += frame.count
      return undefined
    },
    async close() {
      if (options.client === undefined) await client.close()
    },
  }

  /** Returns where the part has arrived after all; throws otherwise, with `again` where nothing of it has. */
  async function settle(error: unknown, frame: BodyFrame, context: WriteContext): Promise<void> {
    throwIfAborted(context.signal)
    if (!isEtlError(error)) throw error
    // Refused, or never sent: the error's own verdict is right.
    if (error.verdict === 'never' || error.verdict === 'split' || provablyUndone(error)) throw error
    if (await reconcile(frame.count, error, isAsync || mayStillRun(error), context)) return
    throw new EtlError(error.code, `${error.message}; nothing of it has arrived`, {
      verdict: 'again',
      retryAfterMs: error.retryAfterMs,
      cause: error,
      context: error.context,
    })
  }
}

/** Sent bytes: as framed, or as an array, for which only the ends change. */
function fileOf(frame: BodyFrame, format: 'jsonl' | 'json'): readonly Uint8Array[] {
  if (format === 'jsonl') return [frame.body]
  return [Buffer.from('['), frame.body.subarray(0, frame.body.length - 2), Buffer.from(']')]
}

function encoderWith<R>(ending: string): Encoder<R> {
  const after = Buffer.from(ending)
  return {
    put(batch, index, _ordinal, into, at) {
      const end = putRow(batch, index, into, at)
      if (end < 0 || end + after.length > into.length) return -1
      into.set(after, end)
      return end + after.length
    },
  }
}

/** Compares what the server counted with what was sent. A run without counts is in doubt. */
function checkComplete(run: ImportRun, sent: number, dataset: string): void {
  const { status, processed, failed, errors, runId } = run
  const why = errors.length === 0 ? '' : `: ${errors.slice(0, 3).join('; ')}`
  if (status === 'completed' && processed === undefined)
    throw ambiguous(`the server did not count rows${why}`)
  if (status === 'completed' && processed === sent && (failed ?? 0) === 0) return
  throw new EtlError(
    status === 'failed' ? 'ETL_IMPORT_FAILED' : 'ETL_IMPORT_INCOMPLETE',
    `the import into ${dataset} ${status}: ${sent} rows sent, ${processed ?? 'unknown'} processed, ${failed ?? 'unknown'} failed${why}; which rows is not told, so nothing is repeated`,
    { context: { sent, processed, failed, runId, dataset } },
  )
}

/** Time-outs, ours and those of something in between, end the waiting but not the server's work. */
function mayStillRun(error: EtlError): boolean {
  const { status } = error.context
  return error.code === 'ETL_HTTP_TIMEOUT' || status === 408 || status === 502 || status === 504
}

function ambiguous(reason: string, cause?: unknown): EtlError {
  return new EtlError('ETL_IMPORT_UNRESOLVED', reason, { verdict: 'again', cause })
}
