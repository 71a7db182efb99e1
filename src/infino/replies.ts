/** Answers of the API, checked and taken out of their wrappings. */
import type { Json, Row } from '../contracts.js'
import { EtlError, isEtlError } from '../errors.js'
import { oneLine, reasonIn, reasonOf } from '../http/error-body.js'
import type { Mask } from '../http/redact.js'
import { parseJson } from '../json.js'

/** An empty answer is an empty object; whole numbers beyond 2^53 come as `bigint`. */
export function parseReply(body: Buffer): unknown {
  if (body.length === 0) return {}
  const text = body.toString()
  try {
    return parseJson(text)
  } catch {
    throw unreadable('JSON', reasonOf(text.slice(0, 4096)))
  }
}

export function masked<T>(mask: Mask, task: () => T): T {
  try {
    return task()
  } catch (error) {
    if (!isEtlError(error)) throw error
    throw new EtlError(error.code, mask(error.message), { verdict: error.verdict, context: error.context })
  }
}

function unreadable(expected: string, got: string): EtlError {
  return new EtlError(
    'ETL_INFINO_REPLY_UNREADABLE',
    `expected ${expected} in the answer, got ${oneLine(got)}`,
    {
      verdict: 'again',
    },
  )
}

export function arrayOf(reply: unknown): readonly Json[] {
  if (!Array.isArray(reply)) throw unreadable('a list', reasonIn(reply) ?? typeof reply)
  return reply as Json[]
}

export function objectOf(reply: unknown): Row {
  if (typeof reply !== 'object' || reply === null || Array.isArray(reply))
    throw unreadable('an object', Array.isArray(reply) ? 'a list' : String(reply))
  const { error } = reply as Row
  if (error !== undefined && error !== null)
    throw new EtlError('ETL_INFINO_FAILED', `failed under status 200: ${oneLine(reasonIn(reply) ?? '')}`)
  return reply as Row
}

/** The live server wraps the object in a list of one. */
export function metadataOf(reply: unknown): { readonly [key: string]: Json } {
  return objectOf(Array.isArray(reply) ? (reply[0] ?? {}) : reply) as { readonly [key: string]: Json }
}

export function totalOf(reply: unknown): number {
  const { hits } = objectOf(reply)
  const total = (hits as { total?: unknown } | undefined)?.total
  const value = typeof total === 'object' && total !== null ? (total as { value?: unknown }).value : total
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw unreadable('a number of hits', JSON.stringify(total) ?? 'none')
  return value
}

/** A bare number, or an object with `deleted` in it. */
export function deletedOf(reply: unknown): { readonly deleted: number | undefined } {
  const value = typeof reply === 'number' ? reply : objectOf(reply).deleted
  return { deleted: typeof value === 'number' ? value : undefined }
}
