/** Checks of options, made when a piece is built: the message names the option, the expectation and what came. */
import { EtlError } from '../errors.js'

export function invalidOption(option: string, expected: string, got: unknown): EtlError {
  return new EtlError('ETL_OPTION_INVALID', `option ${option}: expected ${expected}, got ${show(got)}`, {
    context: { option },
  })
}

/** A whole number of at least `min`, or the default where it is absent. */
export function wholeNumber<D extends number | undefined>(
  option: string,
  value: number | undefined,
  fallback: D,
  min = 1,
): number | D {
  if (value === undefined) return fallback
  if (!Number.isSafeInteger(value) || value < min)
    throw invalidOption(option, `a whole number from ${min}`, value)
  return value
}

export function oneOf<T extends string>(option: string, value: unknown, allowed: readonly T[]): T {
  if (!allowed.includes(value as T)) throw invalidOption(option, `one of ${allowed.join(', ')}`, value)
  return value as T
}

export function nonEmptyString(option: string, value: unknown): string {
  if (typeof value !== 'string' || value === '') throw invalidOption(option, 'a non-empty string', value)
  return value
}

/** A value as an error message may show it: short, and only its type where it is no scalar. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value)
  if (value === null || value === undefined || typeof value === 'number' || typeof value === 'boolean')
    return String(value)
  if (typeof value === 'bigint') return `${value}n`
  if (Array.isArray(value)) return `an array of ${value.length}`
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
