/** A row's own id. */
import { EtlError, toEtlError } from '../errors.js'
import { encodePart } from '../http/sigv4.js'
import { invalidOption, show } from '../internal/options.js'

/** A column, columns, or a function of the row. */
export type IdOption<R> =
  | (keyof R & string)
  | readonly (keyof R & string)[]
  | ((row: R) => string | number | bigint)

/**
 * How to read the id. Several columns are joined by commas, each part percent-encoded so that `['a,b', 'c']` and
 * `['a', 'b,c']` stay apart. Throws `ETL_SINK_ID_MISSING` or `ETL_SINK_ID_INVALID` for a row without one.
 */
export function idReader<R>(option: IdOption<R>): (row: R) => string {
  if (typeof option === 'function') {
    return (row) => {
      let value: unknown
      try {
        value = option(row)
      } catch (error) {
        throw toEtlError(error, 'ETL_SINK_ID_INVALID', 'the id function failed')
      }
      return text(value, 'the id function')
    }
  }
  const columns = typeof option === 'string' ? [option] : option
  if (
    !Array.isArray(columns) ||
    columns.length === 0 ||
    columns.some((name) => typeof name !== 'string' || name === '')
  )
    throw invalidOption('id', 'a column, a list of columns, or a function', option)
  if (columns.length === 1) return (row) => text(columnOf(row, columns[0] as string), columns[0] as string)
  return (row) => columns.map((name: string) => encodePart(text(columnOf(row, name), name))).join(',')
}

/** Inherited members such as `constructor` are no columns. */
function columnOf(row: unknown, column: string): unknown {
  return Object.hasOwn(row as object, column) ? (row as Record<string, unknown>)[column] : undefined
}

function text(value: unknown, from: string): string {
  if (typeof value === 'string' && value !== '') return wellFormed(value, from)
  if (typeof value === 'number' && Number.isFinite(value)) return String(value)
  if (typeof value === 'bigint' || typeof value === 'boolean') return String(value)
  if (value instanceof Date && !Number.isNaN(value.getTime())) return value.toISOString()
  if (value === undefined || value === null || value === '') {
    throw new EtlError('ETL_SINK_ID_MISSING', `expected an id from ${from}, got ${show(value)}`, {
      context: { column: from },
    })
  }
  throw invalid(from, show(value))
}

/** Half a character would turn into the same replacement for every such id. */
function wellFormed(value: string, from: string): string {
  if (/\p{Surrogate}/u.test(value)) throw invalid(from, 'text with half a character')
  return value
}

function invalid(from: string, got: string): EtlError {
  return new EtlError(
    'ETL_SINK_ID_INVALID',
    `expected text, a number, a date or true/false as id from ${from}, got ${got}`,
    { context: { column: from } },
  )
}
