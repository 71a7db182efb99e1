/** The body of `POST /{dataset}/json`: an action line, then (except for delete) a document line. */
import {
  type Document,
  type ItemError,
  idOf,
  isItemError,
  newId,
  parseDocument,
  refusal,
} from './documents.js'
import { type FieldKinds, observe } from './fields.js'
import { members } from './json-text.js'
import { linesOf } from './lines.js'
import { malformed } from './reply.js'
import { Shapes } from './shapes.js'

export type Action = 'index' | 'create' | 'update' | 'delete'

/** Actions side by side, one place in each array per item. */
export interface Bulk {
  readonly actions: Action[]
  readonly ids: string[]
  /** The document's exact text; for an update that of the partial document; for a delete and a refused item ''. */
  readonly bodies: string[]
  /** Items refused before anything was looked up, by place. */
  readonly refused: Map<number, ItemError>
  /** Places whose id was made here: certainly new. */
  readonly made: Set<number>
  /** Updates that may create: what to store where there is no row. */
  readonly upserts: Map<number, string>
  readonly fields: FieldKinds
  readonly shapes: Shapes
  readonly bytes: number
}

const PLAIN = '{"index":{"_id":"'

/** Throws 400 for the whole request where an action line is broken; a broken document is refused alone. */
export function parseBulk(body: Buffer, dataset: string): Bulk {
  const bulk: Bulk = {
    actions: [],
    ids: [],
    bodies: [],
    refused: new Map(),
    made: new Set(),
    upserts: new Map(),
    fields: new Map(),
    shapes: new Shapes(),
    bytes: body.length,
  }
  const lines = linesOf(body)
  for (let line = lines.next(); line !== undefined; line = lines.next()) {
    const place = bulk.actions.length
    const { action, id } = parseAction(line, lines.number(), dataset)
    bulk.actions.push(action)
    if (typeof id === 'object') bulk.refused.set(place, id)
    else if (id === undefined && action !== 'index' && action !== 'create')
      bulk.refused.set(place, refusal('illegal_argument_exception', `${action}: expected an _id`))
    if (typeof id === 'string') bulk.ids.push(id)
    else {
      bulk.ids.push(bulk.refused.has(place) ? '' : newId())
      bulk.made.add(place)
    }
    if (action === 'delete') {
      bulk.bodies.push('')
      continue
    }
    const text = lines.next()
    if (text === undefined)
      throw malformed(`line ${lines.number()}: the action ${action} has no document line after it`)
    bulk.bodies.push(bulk.refused.has(place) ? '' : documentOf(bulk, place, text, lines.broken()))
  }
  if (bulk.actions.length === 0) throw malformed('the body holds no action')
  return bulk
}

function documentOf(bulk: Bulk, place: number, text: string, broken: boolean): string {
  const update = bulk.actions[place] === 'update'
  if (!update && !broken && bulk.shapes.fits(text)) return text
  const document = broken
    ? refusal('mapper_parsing_exception', 'the document is not UTF-8')
    : parseDocument(text)
  if (isItemError(document)) {
    bulk.refused.set(place, document)
    return ''
  }
  if (update) return partialOf(bulk, place, document, text)
  observe(bulk.fields, document, text)
  bulk.shapes.learn(document, bulk.fields)
  return text
}

function partialOf(bulk: Bulk, place: number, update: Document, text: string): string {
  const { doc, upsert, doc_as_upsert: asUpsert } = update
  if (!isObject(doc)) {
    bulk.refused.set(place, refusal('illegal_argument_exception', 'update: expected {"doc":{...}}'))
    return ''
  }
  const parts = members(text)
  const body = parts.get('doc')!
  observe(bulk.fields, doc, body)
  if (isObject(upsert)) {
    const whole = parts.get('upsert')!
    observe(bulk.fields, upsert, whole)
    bulk.upserts.set(place, whole)
  } else if (asUpsert === true) bulk.upserts.set(place, body)
  return body
}

function parseAction(
  line: string,
  number: number,
  dataset: string,
): { action: Action; id: string | undefined | ItemError } {
  // The form that most uploads have, without a parser.
  if (line.startsWith(PLAIN) && line.endsWith('"}}')) {
    const id = line.slice(PLAIN.length, -3)
    if (!/["\\\p{Cc}]/u.test(id)) return { action: 'index', id: idOf(id) }
  }
  let parsed: unknown
  try {
    parsed = JSON.parse(line)
  } catch {
    throw malformed(`line ${number}: expected an action such as {"index":{"_id":"1"}}, got no JSON`)
  }
  const entries = isObject(parsed) ? Object.entries(parsed) : []
  const [action, details] = entries[0] ?? []
  if (
    entries.length !== 1 ||
    (action !== 'index' && action !== 'create' && action !== 'update' && action !== 'delete') ||
    !isObject(details)
  )
    throw malformed(
      `line ${number}: expected one action of index, create, update, delete with an object, such as {"index":{"_id":"1"}}`,
    )
  const target = details._index
  if (target !== undefined && target !== dataset)
    return {
      action,
      id: refusal('illegal_argument_exception', `_index: expected ${dataset}, the dataset of the request`),
    }
  return { action, id: idOf(details._id) }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
