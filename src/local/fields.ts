/**
 * What is known about the fields of a dataset: for each top-level field the kinds of value seen so far, as bits.
 * Kinds only ever join, so the SQL type of a column follows from them and widens as rows come:
 *
 *   booleans → BOOLEAN · integers → BIGINT, beyond 64 bits HUGEINT · with fractions → DOUBLE ·
 *   integers beyond 128 bits, text, or a mixture → VARCHAR · objects and arrays → JSON
 */
import { members } from './json-text.js'

const BOOLEAN = 1
const INTEGER = 2
/** An integer of more than 64 and at most 128 bits. */
const HUGE = 4
/** An integer of more than 128 bits: only text keeps it exact. */
const VAST = 8
const REAL = 16
const TEXT = 32
const OBJECT = 64
export const LIST = 128
/** Text that reads as an ISO 8601 date. */
const DATE = 256

const NUMERIC = INTEGER | HUGE | REAL
const NESTED = OBJECT | LIST
/** Later fields stay in the documents and in QueryDSL, but get no column. */
export const MAX_COLUMNS = 2000

const ISO_DATE = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?$/

export type FieldKinds = Map<string, number>

/** Adds what a document shows. `text` is its JSON. */
export function observe(kinds: FieldKinds, document: Readonly<Record<string, unknown>>, text: string): void {
  for (const name in document) {
    const value = document[name]
    const before = kinds.get(name)
    const kind = (before ?? 0) | kindOf(value, name, text)
    if (kind !== before) kinds.set(name, kind)
  }
}

function kindOf(value: unknown, name: string, text: string): number {
  if (typeof value === 'string') {
    if (value.charCodeAt(4) === 0x2d && value.charCodeAt(7) === 0x2d && ISO_DATE.test(value)) return DATE
    return TEXT
  }
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) return REAL
    const size = Math.abs(value)
    if (size < 2 ** 63) return INTEGER
    // 1e300 is a whole number too, but nobody means an integer of 301 digits by it.
    if (size >= 2 ** 127) return /^-?\d+$/.test(members(text).get(name) ?? '') ? VAST : REAL
    return HUGE
  }
  if (typeof value === 'boolean') return BOOLEAN
  if (value === null) return 0
  return Array.isArray(value) ? LIST : OBJECT
}

/** Joins `more` into `known`, which stays within `MAX_COLUMNS`; tells whether anything was new. */
export function join(known: FieldKinds, more: FieldKinds): boolean {
  let changed = false
  for (const [name, kind] of more) {
    const before = known.get(name)
    const after = (before ?? 0) | kind
    if (after === before || (before === undefined && known.size >= MAX_COLUMNS)) continue
    known.set(name, after)
    changed = true
  }
  return changed
}

/** Which kinds of plain value a field has shown; undefined where it has shown others too. */
export function plainKinds(
  kind: number,
): { boolean: boolean; integer: boolean; real: boolean; text: boolean; date: boolean } | undefined {
  if ((kind & ~(BOOLEAN | INTEGER | REAL | TEXT | DATE)) !== 0) return undefined
  return {
    boolean: (kind & BOOLEAN) !== 0,
    integer: (kind & INTEGER) !== 0,
    real: (kind & REAL) !== 0,
    text: (kind & TEXT) !== 0,
    date: (kind & DATE) !== 0,
  }
}

export type SqlType = 'BOOLEAN' | 'BIGINT' | 'HUGEINT' | 'DOUBLE' | 'VARCHAR' | 'JSON'

export function sqlType(kind: number): SqlType {
  if (kind === 0) return 'VARCHAR'
  if (kind === BOOLEAN) return 'BOOLEAN'
  if ((kind & ~NUMERIC) === 0) return kind & REAL ? 'DOUBLE' : kind & HUGE ? 'HUGEINT' : 'BIGINT'
  if ((kind & ~NESTED) === 0) return 'JSON'
  return 'VARCHAR'
}

/** The type as `GET /{dataset}/_schema` names it. */
export function infinoType(kind: number): string {
  if (kind === DATE) return 'ISO8601Date'
  switch (sqlType(kind)) {
    case 'BOOLEAN':
      return 'Boolean'
    case 'BIGINT':
    case 'HUGEINT':
      return 'Integer'
    case 'DOUBLE':
      return 'Float'
    case 'JSON':
      return 'Json'
    default:
      return 'String'
  }
}

export interface Column {
  readonly field: string
  /** The name in SQL: the field's own, unless it is empty or differs from an earlier one in case alone. */
  readonly column: string
  readonly type: SqlType
}

/**
 * The columns of a view, in the order in which the fields were first seen. SQL names do not tell cases apart, so
 * `Name` after `name` becomes `Name_2`; an empty name becomes `_empty`. `_id` is the row's id. A name that holds
 * U+0000 gets no column.
 */
export function columnsOf(kinds: FieldKinds): Column[] {
  const taken = new Set(['_id'])
  const columns: Column[] = []
  for (const [field, kind] of kinds) {
    if (field.includes('\0')) continue
    const base = field === '' ? '_empty' : field
    let column = base
    for (let n = 2; taken.has(column.toLowerCase()); n += 1) column = `${base}_${n}`
    taken.add(column.toLowerCase())
    columns.push({ field, column, type: sqlType(kind) })
  }
  return columns
}

/** `"name"` for SQL. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** `'text'` for SQL. The text holds no U+0000. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** The JSON pointer to a field, part by part. */
export function pointer(...path: readonly string[]): string {
  return path.map((part) => `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

/** The SELECT behind a dataset's view. Columns are taken from the documents when asked for, and only those asked for. */
export function viewSql(view: string, table: string, kinds: FieldKinds): string {
  const selected = ['id AS _id']
  for (const { field, column, type } of columnsOf(kinds)) {
    const path = literal(pointer(field))
    const text = `json_extract_string(body, ${path})`
    const value =
      type === 'VARCHAR'
        ? text
        : type === 'JSON'
          ? `nullif(json_extract(body, ${path}), 'null')`
          : `TRY_CAST(${text} AS ${type})`
    selected.push(`${value} AS ${identifier(column)}`)
  }
  return `CREATE OR REPLACE VIEW main.${identifier(view)} AS SELECT ${selected.join(', ')} FROM ${table}`
}
