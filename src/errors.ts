/**
 * One error family. Match on `code`; `instanceof` fails across two copies of the package.
 *
 *     try { await run() } catch (error) {
 *       if (isEtlError(error) && error.code === 'ETL_CSV_UNCLOSED_QUOTE') console.error(error.context.line)
 *     }
 */
import type { Position, Verdict } from './contracts.js'

/** Where and with what it happened. Never holds a secret. */
export interface ErrorContext extends Position {
  readonly column?: string | undefined
  readonly option?: string | undefined
  readonly request?: string | undefined
  readonly status?: number | undefined
  readonly [key: string]: unknown
}

export interface EtlErrorOptions {
  /** Default `'never'`. */
  readonly verdict?: Verdict | undefined
  readonly context?: ErrorContext | undefined
  readonly cause?: unknown
  /** The other side asked to wait so long, in milliseconds. */
  readonly retryAfterMs?: number | undefined
}

const BRAND = Symbol.for('infino-etl.error')

export class EtlError extends Error {
  readonly code: string
  /** May the same thing be tried again. Set where the failure is understood. */
  readonly verdict: Verdict
  readonly context: ErrorContext
  readonly retryAfterMs: number | undefined

  constructor(code: string, message: string, options: EtlErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'EtlError'
    this.code = code
    this.verdict = options.verdict ?? 'never'
    this.context = options.context ?? {}
    this.retryAfterMs = options.retryAfterMs
    Object.defineProperty(this, BRAND, { value: true })
  }
}

export function isEtlError(error: unknown): error is EtlError {
  return error instanceof Error && (error as { [BRAND]?: boolean })[BRAND] === true
}

/** The error itself where it is ours, otherwise one of ours around it. */
export function toEtlError(error: unknown, code: string, doing: string): EtlError {
  if (isEtlError(error)) return error
  return new EtlError(code, `${doing}: ${messageOf(error)}`, { cause: error })
}

export function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message || error.name
  return String(error)
}

/** The error to throw when a signal stopped the work. */
export function abortError(signal: AbortSignal): EtlError {
  const reason: unknown = signal.reason
  if (isEtlError(reason)) return reason
  return new EtlError('ETL_ABORTED', `stopped: ${reason === undefined ? 'aborted' : messageOf(reason)}`, {
    cause: reason,
  })
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(signal)
}

/** ` (orders.csv, row 7, line 9, byte 1203)`, or nothing where nothing is known. */
export function describePosition(position: Position | undefined): string {
  if (position === undefined) return ''
  const parts: string[] = []
  if (position.file !== undefined) parts.push(position.file)
  if (position.page !== undefined) parts.push(`page ${position.page}`)
  if (position.row !== undefined) parts.push(`row ${position.row}`)
  if (position.line !== undefined) parts.push(`line ${position.line}`)
  if (position.byte !== undefined) parts.push(`byte ${position.byte}`)
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`
}
