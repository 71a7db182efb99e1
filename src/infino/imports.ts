/** Runs of a file import: the answer to the import itself, and to questions about it later. */
import type { Json } from '../contracts.js'
import { EtlError } from '../errors.js'
import { oneLine, reasonIn } from '../http/error-body.js'
import { show } from '../internal/options.js'

/** What is known about one run. */
export interface ImportRun {
  readonly runId: string | undefined
  readonly status: 'submitted' | 'running' | 'completed' | 'failed'
  /** Rows that were stored; undefined while they are not counted, as before the end of a run. */
  readonly processed: number | undefined
  readonly failed: number | undefined
  /** What went wrong, from all the places where the API may say it. */
  readonly errors: readonly string[]
  /** The whole answer. */
  readonly reply: Json
}

const STATUSES = ['submitted', 'running', 'completed', 'failed'] as const

export function importRun(reply: unknown): ImportRun {
  const object = typeof reply === 'object' && reply !== null ? (reply as Record<string, unknown>) : {}
  const status = STATUSES.find((known) => known === object.status)
  if (status === undefined) {
    throw new EtlError(
      'ETL_INFINO_REPLY_UNREADABLE',
      `expected the state of an import (${STATUSES.join(', ')}), got ${reasonIn(reply) ?? show(object.status)}`,
      { verdict: 'again' },
    )
  }
  const stats = (object.stats ?? {}) as Record<string, unknown>
  // A running job may show zeroed counts: only those of a finished one mean something.
  const done = status === 'completed' || status === 'failed'
  return {
    runId: typeof object.run_id === 'string' && object.run_id !== '' ? object.run_id : undefined,
    status,
    processed: done ? count(stats.documents_processed) : undefined,
    failed: done ? count(stats.documents_failed) : undefined,
    errors: [object.error_message, object.errors, stats.errors].flat().filter(isText).map(oneLine),
    reply: reply as Json,
  }
}

function count(value: unknown): number | undefined {
  const number = typeof value === 'string' && value !== '' ? Number(value) : value
  return typeof number === 'number' && Number.isSafeInteger(number) ? number : undefined
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
