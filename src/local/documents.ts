/** What may be stored as a document, and ids for those that bring none. */
import { randomBytes } from 'node:crypto'
import { messageOf } from '../errors.js'

/** Ids longer than this are refused, as Elasticsearch does. */
const MAX_ID_BYTES = 512

export interface ItemError {
  readonly status: number
  readonly type: string
  readonly reason: string
}

export type Document = Readonly<Record<string, unknown>>

/** The document that a line of JSON holds, or why it cannot be stored. */
export function parseDocument(text: string): Document | ItemError {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return refusal('mapper_parsing_exception', `the document is not JSON: ${messageOf(error)}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return refusal('mapper_parsing_exception', 'the document is not a JSON object')
  if (MAYBE_LONE.test(text) && holdsLoneSurrogate(text))
    return refusal(
      'mapper_parsing_exception',
      'the document holds half of a surrogate pair, which is no character',
    )
  return value as Document
}

export function isItemError(value: Document | ItemError): value is ItemError {
  return refusals.has(value)
}

const refusals = new WeakSet<object>()

export function refusal(type: string, reason: string, status = 400): ItemError {
  const error = { status, type, reason }
  refusals.add(error)
  return error
}

const MAYBE_LONE = /\\u[dD][89a-fA-F]/

/** DuckDB refuses to read such text, and one row of it would fail every query. */
function holdsLoneSurrogate(text: string): boolean {
  let high = -1
  for (const found of text.matchAll(/\\(?:u([0-9a-fA-F]{4})|.)/g)) {
    const code = found[1] === undefined ? -1 : Number.parseInt(found[1], 16)
    const isLow = code >= 0xdc00 && code <= 0xdfff
    const paired = high >= 0 && high === found.index - 6
    if (isLow !== paired) return true
    high = code >= 0xd800 && code <= 0xdbff ? found.index : -1
    if (high < 0) continue
    if (!/^\\u[dD][c-fC-F]/.test(text.slice(high + 6, high + 10))) return true
  }
  return false
}

/** The id that an action names, `undefined` where it names none. */
export function idOf(given: unknown): string | undefined | ItemError {
  if (given === undefined || given === null) return undefined
  if (typeof given !== 'string' && typeof given !== 'number')
    return refusal('illegal_argument_exception', '_id: expected a string')
  const id = String(given)
  if (id === '') return refusal('illegal_argument_exception', '_id: expected a string that is not empty')
  if (id.length * 3 > MAX_ID_BYTES && Buffer.byteLength(id) > MAX_ID_BYTES)
    return refusal('illegal_argument_exception', `_id: expected at most ${MAX_ID_BYTES} bytes`)
  if (/\p{Surrogate}/u.test(id))
    return refusal('illegal_argument_exception', '_id holds half of a surrogate pair')
  return id
}

const prefix = randomBytes(9).toString('base64url')
let made = 0

/** An id that no other row has: the process's own random part, then a count. */
export function newId(): string {
  made += 1
  return `${prefix}${made.toString(36)}`
}
