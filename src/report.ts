/** What a run returns, and what an error of a failed run carries. */
import type { RejectedRow, Sink } from './contracts.js'
import { toEtlError } from './errors.js'
import type { Ledger } from './ledger.js'

/**
 * - `proven`: the source told how many rows there are, and so many were read.
 * - `unproven`: the source gives no total; it said that it had ended.
 * - `truncated`: reading stopped before the end, for the reason given.
 */
export type Completeness =
  | { readonly kind: 'proven' }
  | { readonly kind: 'unproven' }
  | { readonly kind: 'truncated'; readonly reason: string }

export interface StageTime {
  readonly name: string
  /** Milliseconds in this stage alone, added up over all partitions. */
  readonly ms: number
}

export interface RunReport {
  readonly runId: string
  readonly status: 'complete' | 'failed' | 'stopped'
  readonly ledger: Ledger
  readonly completeness: Completeness
  /** `once`: each row is in effect once, retries and resumes included. */
  readonly delivery: 'once' | 'at-least-once'
  /** The run went on from a checkpoint; the ledger covers the earlier runs too. */
  readonly resumed: boolean
  /** The first ten rejected rows. */
  readonly rejectedRows: readonly RejectedRow[]
  readonly rejectedByCode: Readonly<Record<string, number>>
  readonly timings: readonly StageTime[]
  readonly writes: number
  readonly retries: number
  /** Bytes the source read in this run, as far as it tells. */
  readonly bytes: number
  readonly elapsedMs: number
  /** Rows read in this run, per second. */
  readonly rowsPerSecond: number
  /** The first hundred warnings of the stages. */
  readonly warnings: readonly string[]
}

/** How far a run is. */
export interface Progress {
  readonly read: number
  readonly written: number
  readonly rejected: number
  readonly bytes: number
  /** All bytes there are, where known. */
  readonly ofBytes: number | undefined
  readonly elapsedMs: number
  readonly writesInFlight: number
}

const REPORTS = new WeakMap<Error, RunReport>()

export function attachReport(error: Error, report: RunReport): void {
  REPORTS.set(error, report)
}

/** The report of the run that failed with this error. */
export function reportOf(error: unknown): RunReport | undefined {
  return error instanceof Error ? REPORTS.get(error) : undefined
}

/** What a report is made of. */
export interface ReportFacts {
  readonly status: RunReport['status']
  readonly ledger: Ledger
  readonly failure: unknown
  readonly limited: boolean
  /** Why the source stopped, where it said so. */
  readonly cutShort: string | undefined
  readonly endedEarly: boolean
  readonly positions: { readonly runId: string; readonly resumed: boolean }
  readonly rejections: {
    readonly samples: readonly RejectedRow[]
    readonly byCode: ReadonlyMap<string, number>
  }
  readonly delivery: { readonly writes: number; readonly retries: number; readonly writeMs: number }
  readonly sink: Sink<unknown>
  readonly stageTimes: readonly StageTime[]
  readonly encodeMs: number
  readonly bytes: number
  readonly elapsedMs: number
  /** Rows read in earlier runs of the same checkpoint. */
  readonly readBefore: number
  readonly warnings: readonly string[]
}

export function makeReport(facts: ReportFacts): RunReport {
  const { ledger, positions, rejections, delivery, sink, elapsedMs } = facts
  const read = Math.max(0, ledger.source.out - facts.readBefore)
  return {
    runId: positions.runId,
    status: facts.status,
    ledger,
    completeness: completenessOf(facts),
    delivery: sink.delivery ?? 'at-least-once',
    resumed: positions.resumed,
    rejectedRows: rejections.samples,
    rejectedByCode: Object.fromEntries(rejections.byCode),
    timings: [
      ...facts.stageTimes,
      { name: 'encode', ms: facts.encodeMs },
      { name: sink.name, ms: delivery.writeMs },
    ],
    writes: delivery.writes,
    retries: delivery.retries,
    bytes: facts.bytes,
    elapsedMs,
    rowsPerSecond: Math.round((read / Math.max(1, elapsedMs)) * 1000),
    warnings: facts.warnings,
  }
}

function completenessOf({ ledger, limited, failure, cutShort, endedEarly }: ReportFacts): Completeness {
  if (limited) return { kind: 'truncated', reason: 'limit' }
  if (failure !== undefined) {
    return { kind: 'truncated', reason: toEtlError(failure, 'ETL_RUN_FAILED', 'the run failed').code }
  }
  if (cutShort !== undefined) return { kind: 'truncated', reason: cutShort }
  if (endedEarly) return { kind: 'truncated', reason: 'a transform ended the read' }
  if (ledger.incomplete.length > 0) return { kind: 'truncated', reason: ledger.incomplete.join('; ') }
  return { kind: ledger.source.expected === undefined ? 'unproven' : 'proven' }
}
