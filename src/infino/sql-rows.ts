/** Answers to SQL in the four shapes that are on record, all decoded to plain rows. */
import type { Row } from '../contracts.js'
import { EtlError } from '../errors.js'
import { oneLine, reasonIn } from '../http/error-body.js'
import { show } from '../internal/options.js'

export interface SqlResult {
  readonly rows: readonly Row[]
  /** Names of the columns in order, as far as the answer tells. */
  readonly columns: readonly string[]
  /** Rows that a writing statement changed. */
  readonly affectedRows: number | undefined
}

/**
 * Decodes
 * - `{columns, rows: [{values: {product: {String: 'laptop'}}}]}`: values under the name of their type,
 * - `{columns: [{name, type}], rows: [[...]]}`,
 * - `{schema: [{name, alias}], datarows: [[...]]}`,
 * - `{rows: [{product: 'laptop'}]}`, or that array alone.
 *
 * Throws `ETL_INFINO_SQL` for a failure reported under status 200, `ETL_INFINO_REPLY_UNREADABLE` for any other
 * shape.
 */
export function sqlResult(reply: unknown): SqlResult {
  if (Array.isArray(reply)) return { ...rowsOf(reply, []), affectedRows: undefined }
  if (typeof reply !== 'object' || reply === null) throw unreadable(reply)
  const reason = reasonIn(reply)
  if (reason !== undefined) throw new EtlError('ETL_INFINO_SQL', `the statement failed: ${oneLine(reason)}`)
  const { columns, rows, schema, datarows, affected_rows: affected } = reply as Record<string, unknown>
  const found = rows ?? datarows
  if (!Array.isArray(found)) throw unreadable(reply)
  const names = (Array.isArray(columns) ? columns : Array.isArray(schema) ? schema : []).map(columnName)
  return { ...rowsOf(found, names), affectedRows: typeof affected === 'number' ? affected : undefined }
}

function rowsOf(found: readonly unknown[], names: readonly string[]) {
  const keys = unique(names)
  const rows = found.map((item) => {
    if (Array.isArray(item)) return fromArray(item, keys)
    if (typeof item !== 'object' || item === null) throw unreadable(item)
    const { values } = item as { values?: unknown }
    return isTyped(values) ? fromTyped(values, names) : (item as Row)
  })
  const columns = keys.length > 0 ? keys : Object.keys(rows[0] ?? {})
  return { rows, columns }
}

function fromArray(values: readonly unknown[], keys: readonly string[]): Row {
  if (values.length > keys.length) {
    throw new EtlError(
      'ETL_INFINO_REPLY_UNREADABLE',
      `expected ${keys.length} values in a row of the answer, got ${values.length}`,
    )
  }
  const row: Row = {}
  for (let i = 0; i < keys.length; i++) put(row, keys[i]!, values[i] ?? null)
  return row
}

/** `{values: {...}}` is the typed shape where every value has a type or is null; otherwise it is a column of that name. */
function isTyped(values: unknown): values is Record<string, unknown> {
  if (typeof values !== 'object' || values === null || Array.isArray(values)) return false
  return Object.values(values).every((value) => value === null || value === 'Null' || isVariant(value))
}

function isVariant(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const keys = Object.keys(value)
  return keys.length === 1 && /^[A-Z]\w*$/.test(keys[0]!)
}

function fromTyped(values: Record<string, unknown>, names: readonly string[]): Row {
  const row: Row = {}
  // The order of the columns where the answer has one; an object of values promises none.
  for (const name of names) if (Object.hasOwn(values, name)) put(row, name, plain(values[name]))
  for (const name of Object.keys(values)) if (!Object.hasOwn(row, name)) put(row, name, plain(values[name]))
  return row
}

function plain(value: unknown): unknown {
  if (value === 'Null') return null
  if (Array.isArray(value)) return value.map((item) => (isVariant(item) ? plain(item) : item))
  if (!isVariant(value)) return value
  const [tag, inner] = Object.entries(value as object)[0] as [string, unknown]
  if (tag === 'Null') return null
  return Array.isArray(inner) || isVariant(inner) ? plain(inner) : inner
}

/** `{name: 'x'}`, `{alias, name: {Column: {name: 'x'}}}`, `{display_name: 'x'}`, or the name alone. */
function columnName(column: unknown, index: number): string {
  if (typeof column === 'string') return column
  if (typeof column === 'object' && column !== null) {
    const { alias, name, display_name: display } = column as Record<string, unknown>
    for (const candidate of [alias, name, display])
      if (typeof candidate === 'string' && candidate !== '') return candidate
    const inner = typeof name === 'object' && name !== null ? Object.values(name)[0] : undefined
    if (typeof inner === 'string') return inner
    if (typeof inner === 'object' && inner !== null) {
      const { name: innerName } = inner as { name?: unknown }
      if (typeof innerName === 'string') return innerName
    }
  }
  return `column_${index + 1}`
}

/** Column names made different, so that no value replaces another. */
function unique(names: readonly string[]): string[] {
  const taken = new Set<string>(names)
  const seen = new Set<string>()
  return names.map((name) => {
    let key = name
    for (let n = 2; seen.has(key) || (key !== name && taken.has(key)); n++) key = `${name}_${n}`
    seen.add(key)
    return key
  })
}

/** `__proto__` is a column like any other. */
function put(row: Row, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(row, key, { value, enumerable: true, configurable: true, writable: true })
  else row[key] = value
}

function unreadable(got: unknown): EtlError {
  return new EtlError('ETL_INFINO_REPLY_UNREADABLE', `expected rows in the answer, got ${show(got)}`)
}
