/** The `query` of QueryDSL as a condition of SQL. Every value travels as a parameter. */
import type { DuckDBValue } from '@duckdb/node-api'
import { parseDate } from './dates.js'
import { type FieldKinds, LIST, pointer, type SqlType, sqlType } from './fields.js'
import { malformed } from './reply.js'

const MAX_DEPTH = 32
const MAX_CLAUSES = 4096

/** A field as SQL reaches it. */
export interface Field {
  /** Its JSON pointer as a parameter, undefined for `_id`. */
  readonly at: string | undefined
  /** Its value as text; null where there is none. */
  readonly text: string
  readonly type: SqlType
  /** It may hold arrays. */
  readonly many: boolean
}

/** Collects parameters while a statement is put together. */
export class Statement {
  readonly #values: DuckDBValue[] = []
  readonly nowMs: number
  readonly #kinds: FieldKinds

  constructor(kinds: FieldKinds, nowMs: number) {
    this.#kinds = kinds
    this.nowMs = nowMs
  }

  bind(value: DuckDBValue): string {
    if (this.#values.length >= MAX_CLAUSES) throw malformed(`the query holds more than ${MAX_CLAUSES} values`)
    this.#values.push(value)
    return `$${this.#values.length}`
  }

  /** The SQL with the parameters that it still uses: a clause may have been left out after its values were bound. */
  finish(sql: string): readonly [sql: string, values: DuckDBValue[]] {
    const used = new Map<string, number>()
    const values: DuckDBValue[] = []
    const text = sql.replace(/\$(\d+)/g, (_, place: string) => {
      const known = used.get(place) ?? values.push(this.#values[Number(place) - 1]!)
      used.set(place, known)
      return `$${known}`
    })
    return [text, values]
  }

  list(texts: readonly string[]): string {
    return `from_json(${this.bind(JSON.stringify(texts))}, '["VARCHAR"]')`
  }

  /** A field by its own name, then without `.keyword`, then as a path into objects. */
  field(name: string): Field {
    if (name === '_id') return { at: undefined, text: 'id', type: 'VARCHAR', many: false }
    const bare = name.endsWith('.keyword') ? name.slice(0, -'.keyword'.length) : name
    const known = [name, bare].find((candidate) => this.#kinds.has(candidate))
    const kinds = known === undefined ? undefined : this.#kinds.get(known)
    const at = this.bind(pointer(...(known === undefined ? bare.split('.') : [known])))
    return {
      at,
      text: `json_extract_string(body, ${at})`,
      type: kinds === undefined ? 'VARCHAR' : sqlType(kinds),
      many: kinds === undefined || (kinds & LIST) !== 0,
    }
  }
}

/** The values of a field as a list of texts. */
export function valuesOf(field: Field): string {
  if (!field.many) return `[${field.text}]`
  return `CASE json_type(body, ${field.at}) WHEN 'ARRAY' THEN from_json(json_extract(body, ${field.at}), '["VARCHAR"]') ELSE [${field.text}] END`
}

function holds(field: Field, test: (value: string) => string): string {
  if (!field.many) return `coalesce(${test(field.text)}, false)`
  return `len(list_filter(${valuesOf(field)}, lambda v: coalesce(${test('v')}, false))) > 0`
}

export function condition(statement: Statement, query: unknown, depth = 0): string {
  if (depth > MAX_DEPTH) throw malformed(`the query nests deeper than ${MAX_DEPTH} levels`)
  const [kind, body] = only(query, 'query')
  switch (kind) {
    case 'match_all':
      return 'true'
    case 'match_none':
      return 'false'
    case 'bool':
      return bool(statement, body, depth)
    case 'constant_score':
      return condition(statement, object(body, kind).filter, depth + 1)
    case 'term': {
      const [name, value] = fieldAndValue(body, kind, 'value')
      const field = statement.field(name)
      return holds(field, equals(statement, field, value))
    }
    case 'terms': {
      const { boost: _, ...fields } = object(body, kind)
      const [name, values] = only(fields, kind)
      if (!Array.isArray(values)) throw malformed('terms: expected {"field":[values]}')
      const field = statement.field(name)
      const tests = values.map((value) => holds(field, equals(statement, field, value)))
      return tests.length === 0 ? 'false' : `(${tests.join(' OR ')})`
    }
    case 'match':
    case 'match_phrase':
      return match(statement, kind, body)
    case 'range':
      return range(statement, body)
    case 'prefix': {
      const [name, value] = fieldAndValue(body, kind, 'value')
      const prefix = statement.bind(String(value))
      return holds(statement.field(name), (v) => `starts_with(${v}, ${prefix})`)
    }
    case 'exists': {
      const { at } = statement.field(String(object(body, kind).field))
      return at === undefined ? 'true' : `coalesce(json_type(body, ${at}) <> 'NULL', false)`
    }
    case 'ids': {
      const values = object(body, kind).values
      if (!Array.isArray(values)) throw malformed('ids: expected {"values":[ids]}')
      return `id IN (SELECT unnest(${statement.list(values.map(String))}))`
    }
    default:
      throw malformed(
        `query clause ${JSON.stringify(kind)} is not supported: expected match_all, match, match_phrase, term, terms, range, prefix, exists, ids or bool`,
      )
  }
}

const BOOL_PARTS = new Set(['must', 'filter', 'should', 'must_not', 'minimum_should_match', 'boost'])

function bool(statement: Statement, body: unknown, depth: number): string {
  const parts = object(body, 'bool')
  for (const part of Object.keys(parts))
    if (!BOOL_PARTS.has(part)) throw malformed(`bool: ${JSON.stringify(part)} is not supported`)
  const clauses = (part: unknown): string[] =>
    (part === undefined ? [] : Array.isArray(part) ? part : [part]).map((clause) =>
      condition(statement, clause, depth + 1),
    )
  const all = [...clauses(parts.must), ...clauses(parts.filter)]
  const should = clauses(parts.should)
  const least = parts.minimum_should_match ?? (all.length === 0 && should.length > 0 ? 1 : 0)
  if (!Number.isInteger(least)) throw malformed('bool: minimum_should_match: expected a whole number')
  if (Number(least) > 0) {
    const met = should.map((clause) => `(${clause})::INTEGER`).join(' + ') || '0'
    all.push(`(${met}) >= ${Number(least)}`)
  }
  for (const clause of clauses(parts.must_not)) all.push(`NOT (${clause})`)
  return all.length === 0 ? 'true' : `(${all.join(' AND ')})`
}

function equals(statement: Statement, field: Field, value: unknown): (v: string) => string {
  if (value === null || typeof value === 'object')
    throw malformed('term: expected text, a number or a boolean')
  const number = numberFor(field, value)
  const text = statement.bind(String(value))
  if (number === undefined) return (v) => `${v} = ${text}`
  const bound = statement.bind(number)
  return (v) => `(${v} = ${text} OR TRY_CAST(${v} AS DOUBLE) = ${bound})`
}

/** The number that a value means for a field: itself, or its digits where the field holds numbers. */
function numberFor(field: Field, value: unknown): number | undefined {
  if (typeof value === 'number') return value
  if (typeof value !== 'string' || !isNumeric(field.type) || !/^[+-]?[\d.]/.test(value)) return undefined
  const number = Number(value)
  return Number.isNaN(number) ? undefined : number
}

export function isNumeric(type: SqlType): boolean {
  return type === 'BIGINT' || type === 'HUGEINT' || type === 'DOUBLE'
}

const WORD_BREAK = '[^\\p{L}\\p{N}_]+'

function match(statement: Statement, kind: string, body: unknown): string {
  const [name, value, options] = fieldAndValue(body, kind, 'query')
  const field = statement.field(name)
  if (typeof value !== 'string' || (field.type !== 'VARCHAR' && field.type !== 'JSON'))
    return holds(field, equals(statement, field, value))
  const words = value
    .toLowerCase()
    .split(/[^\p{L}\p{N}_]+/u)
    .filter((word) => word !== '')
  if (words.length === 0) return 'false'
  const split = (v: string) => `string_split_regex(lower(${v}), '${WORD_BREAK}')`
  if (kind === 'match_phrase') {
    const phrase = statement.bind(` ${words.join(' ')} `)
    return holds(field, (v) => `contains(' ' || array_to_string(${split(v)}, ' ') || ' ', ${phrase})`)
  }
  const list = statement.list(words)
  const test = String(options.operator ?? 'or').toLowerCase() === 'and' ? 'list_has_all' : 'list_has_any'
  return holds(field, (v) => `${test}(${split(v)}, ${list})`)
}

const OPERATORS: Readonly<Record<string, string>> = { gt: '>', gte: '>=', lt: '<', lte: '<=' }

function range(statement: Statement, body: unknown): string {
  const [name, limits] = only(body, 'range')
  const field = statement.field(name)
  const tests: ((v: string) => string)[] = []
  for (const [key, limit] of Object.entries(object(limits, 'range'))) {
    const operator = OPERATORS[key]
    if (operator === undefined) {
      if (key === 'format' || key === 'time_zone' || key === 'boost') continue
      throw malformed(`range: ${JSON.stringify(key)} is not supported: expected gt, gte, lt or lte`)
    }
    if (limit === null) continue
    tests.push(compare(statement, field, operator, limit))
  }
  if (tests.length === 0) return 'true'
  return holds(field, (v) => `(${tests.map((test) => test(v)).join(' AND ')})`)
}

function compare(
  statement: Statement,
  field: Field,
  operator: string,
  limit: unknown,
): (v: string) => string {
  const number = numberFor(field, limit)
  if (number !== undefined) {
    const bound = statement.bind(number)
    return (v) => `TRY_CAST(${v} AS DOUBLE) ${operator} ${bound}`
  }
  if (typeof limit !== 'string') throw malformed('range: expected numbers or text')
  const ms = parseDate(limit, statement.nowMs, operator === '>' || operator === '<=')
  if (ms === undefined) {
    const bound = statement.bind(limit)
    return (v) => `${v} ${operator} ${bound}`
  }
  const bound = statement.bind(ms)
  // A field of numbers holds its dates as milliseconds since the epoch.
  if (isNumeric(field.type)) return (v) => `TRY_CAST(${v} AS DOUBLE) ${operator} ${bound}`
  return (v) => `epoch_ms(TRY_CAST(${v} AS TIMESTAMP)) ${operator} ${bound}`
}

export function object(value: unknown, where: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw malformed(`${where}: expected an object`)
  return value as Record<string, unknown>
}

/** The one key of an object and its value. */
export function only(value: unknown, where: string): [string, unknown] {
  const entries = Object.entries(object(value, where))
  if (entries.length !== 1)
    throw malformed(`${where}: expected an object with one key, got ${entries.length}`)
  return entries[0]!
}

/** `{"field": v}` or `{"field": {"value": v}}`. */
function fieldAndValue(body: unknown, kind: string, key: string): [string, unknown, Record<string, unknown>] {
  const [name, value] = only(body, kind)
  if (typeof value !== 'object' || value === null) return [name, value, {}]
  const options = object(value, kind)
  if (options[key] === undefined) throw malformed(`${kind}: expected {"field":{"${key}":...}}`)
  return [name, options[key], options]
}
