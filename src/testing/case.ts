/** What a contract case is, and the few tools that cases share. */
import { deepStrictEqual } from 'node:assert'
import { rowAt, size } from '../batch.js'
import type { Batch, Cursor, ReadRequest, Source } from '../contracts.js'
import { isEtlError } from '../errors.js'
import { systemClock } from '../internal/clock.js'

/** One behaviour. `run` rejects, with an `AssertionError` that says what was expected, when it is not shown. */
export interface ContractCase {
  /** A sentence about behaviour. */
  readonly name: string
  readonly run: () => Promise<void>
}

/** How long a wait may take that should be short. */
export const SOON_MS = 2000

/** What the promise resolves to; an error when it takes longer. */
export async function within<T>(work: Promise<T>, what: string, ms: number = SOON_MS): Promise<T> {
  const timer = new AbortController()
  const late = systemClock.sleep(ms, timer.signal).then(() => {
    throw new Error(`${what} did not settle within ${ms} ms`)
  })
  late.catch(() => {})
  try {
    return await Promise.race([work, late])
  } finally {
    timer.abort()
  }
}

/** The code of the error that the work ends with; undefined where it ends well. */
export async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work
    return undefined
  } catch (error) {
    return isEtlError(error) ? error.code : `no EtlError but ${error}`
  }
}

/** Rows in an order of their own, for what keeps none. */
export function sorted<R>(rows: readonly R[]): R[] {
  const byText = new Map(rows.map((row) => [row, stable(row)]))
  return [...rows].sort((a, b) => ((byText.get(a) as string) < (byText.get(b) as string) ? -1 : 1))
}

export function sameRows(got: readonly unknown[], wanted: readonly unknown[], what: string): void {
  if (got.length !== wanted.length) {
    throw new Error(`${what}: expected ${wanted.length} rows, got ${got.length}`)
  }
  for (let i = 0; i < got.length; i++) deepStrictEqual(got[i], wanted[i], `${what}: row ${i} differs`)
}

/** Cursors go through JSON, as a checkpoint would take them. */
export function saved(cursor: Cursor): Cursor {
  return JSON.parse(JSON.stringify(cursor)) as Cursor
}

/** All rows of a read, whatever their form. */
export async function rowsOf<R>(source: Source<R>, request: ReadRequest = {}): Promise<R[]> {
  const rows: R[] = []
  for await (const batch of source.read(request)) pushRows(batch, rows)
  return rows
}

export function pushRows<R>(batch: Batch<R>, into: R[]): void {
  for (let i = 0; i < size(batch); i++) into.push(rowAt(batch, i))
}

export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || Object.isFrozen(value))
    return value
  for (const item of Object.values(value)) deepFreeze(item)
  return Object.freeze(value)
}

/** Until nothing happens any more: the count stands still for some turns of the event loop. */
export async function quiet(count: () => number): Promise<number> {
  let last = count()
  for (let still = 0, turns = 0; still < 25 && turns < 5000; turns++) {
    await new Promise((resolve) => setImmediate(resolve))
    still = count() === last ? still + 1 : 0
    last = count()
  }
  return last
}

function stable(value: unknown): string {
  if (typeof value !== 'object' || value === null) return `${typeof value}:${String(value)}`
  if (Array.isArray(value)) return `[${value.map(stable).join()}]`
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([key, item]) => `${key}=${stable(item)}`).join()}}`
}
