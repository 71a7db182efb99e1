/** The answer to an upload: one item per action, matched by position, since ids in it need not be ours. */
import { EtlError } from '../errors.js'
import { verdictFor } from '../http/client.js'
import { oneLine, reasonIn, reasonOf } from '../http/error-body.js'
import { show } from '../internal/options.js'
import { countSucceeded } from './bulk-scan.js'

/** An action that was refused. */
export interface BulkFailure {
  /** Position of the action in the upload, from 0. */
  readonly index: number
  readonly status: number
  /** `'again'`: refused for now. */
  readonly verdict: 'never' | 'again'
  readonly reason: string
}

/**
 * The refused actions of an upload of `count` actions. Throws with the verdict `again` where the answer does
 * not say what became of each: `ETL_INFINO_REPLY_UNREADABLE`, `ETL_INFINO_REPLY_COUNT`.
 */
export function bulkFailures(body: Buffer, count: number): readonly BulkFailure[] {
  if (countSucceeded(body) === count) return []
  const reply = parseObject(body)
  const { items, errors } = reply
  if (!Array.isArray(items)) {
    const reason = reasonIn(reply)
    if (reason === undefined) throw unreadable(body)
    throw failed(reason, reply.status)
  }
  if (items.length !== count) {
    throw new EtlError(
      'ETL_INFINO_REPLY_COUNT',
      `expected an answer to each of ${count} rows, got ${items.length}: what became of the others is not known`,
      { verdict: 'again', context: { sent: count, answered: items.length } },
    )
  }
  const failures: BulkFailure[] = []
  for (let index = 0; index < count; index++) {
    const failure = failureIn(items[index], index)
    if (failure !== undefined) failures.push(failure)
  }
  if (errors === true && failures.length === 0) {
    throw new EtlError(
      'ETL_INFINO_REPLY_UNREADABLE',
      'the answer reports errors but names no row: what became of the rows is not known',
      { verdict: 'again' },
    )
  }
  return failures
}

function failureIn(item: unknown, index: number): BulkFailure | undefined {
  // One key per item, the action; its name need not be the one that was sent.
  for (const action in item as object) {
    const outcome = (item as Record<string, unknown>)[action]
    if (typeof outcome !== 'object' || outcome === null || Array.isArray(outcome)) break
    const { status: given, error } = outcome as { status?: unknown; error?: unknown }
    const refused = error !== undefined && error !== null
    const status = given === undefined || given === null ? (refused ? 400 : 200) : Number(given)
    if (status < 400 && !refused) return undefined
    // What is to be deleted and is not there has been deleted, perhaps by an earlier try.
    if (action === 'delete' && status === 404) return undefined
    const reason = oneLine(reasonIn(outcome) ?? `status ${status}`)
    const forNow = status === 429 || status >= 500
    return { index, status, verdict: forNow ? 'again' : 'never', reason }
  }
  throw new EtlError(
    'ETL_INFINO_REPLY_UNREADABLE',
    `expected an outcome for row ${index} of the upload, got ${show(item)}`,
    { verdict: 'again' },
  )
}

function parseObject(body: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body.toString())
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>
  } catch {
    // Reported below with what did come.
  }
  throw unreadable(body)
}

function unreadable(body: Buffer): EtlError {
  return new EtlError(
    'ETL_INFINO_REPLY_UNREADABLE',
    `expected the outcome of each row, got ${reasonOf(body.toString('utf8', 0, 4096))}`,
    { verdict: 'again' },
  )
}

/** An error of the whole upload inside status 200. */
function failed(reason: string, status: unknown): EtlError {
  const known = typeof status === 'number' && status >= 400
  return new EtlError('ETL_INFINO_FAILED', `the upload failed under status 200: ${oneLine(reason)}`, {
    verdict: known ? (status === 400 ? 'split' : verdictFor(status)) : 'again',
    ...(known ? { context: { status } } : {}),
  })
}
