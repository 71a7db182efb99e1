/**
 * Values told straight from the bytes of a cell, for the forms that nearly all cells have. What has another form
 * is left to the reader of the column's type.
 */
import type { CsvColumnType } from './csv-types.js'

export const TEXT_CELL = 0
export const WHOLE_CELL = 1
export const DECIMAL_CELL = 2
export const BOOLEAN_CELL = 3
export const DATE_CELL = 4
export const TIME_CELL = 5

const KINDS: Record<CsvColumnType, number> = {
  string: TEXT_CELL,
  bigint: WHOLE_CELL,
  double: DECIMAL_CELL,
  boolean: BOOLEAN_CELL,
  date: DATE_CELL,
  timestamp: TIME_CELL,
}

export function cellKind(type: CsvColumnType): number {
  return KINDS[type]
}

/** Powers of ten; a whole number of up to 15 digits over one of them is the double nearest to the decimal. */
export const TEN: readonly number[] = Array.from({ length: 16 }, (_, power) => 10 ** power)
export const MAX_DIGITS = 15

/** `true` or `false` in small letters. */
export function booleanAt(bytes: Uint8Array, start: number, end: number): boolean | undefined {
  if (end - start === 4) return same(bytes, start, TRUE) ? true : undefined
  return end - start === 5 && same(bytes, start, FALSE) ? false : undefined
}

/** Whether the bytes are a day as `2024-02-28`; later days depend on the month. */
export function isPlainDay(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start !== 10 || bytes[start + 4] !== DASH || bytes[start + 7] !== DASH) return false
  if (twoDigits(bytes, start) < 0 || twoDigits(bytes, start + 2) < 0) return false
  const month = twoDigits(bytes, start + 5)
  const day = twoDigits(bytes, start + 8)
  return month >= 1 && month <= 12 && day >= 1 && day <= 28
}

/** Whether the bytes are a time as `2024-02-28T23:59:59`, a blank for the T, digits of a second, a Z behind. */
export function isPlainTime(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < 19 || !isPlainDay(bytes, start, start + 10)) return false
  const between = bytes[start + 10]
  if (between !== 0x54 && between !== 0x20) return false
  if (bytes[start + 13] !== COLON || bytes[start + 16] !== COLON) return false
  const hour = twoDigits(bytes, start + 11)
  const minute = twoDigits(bytes, start + 14)
  const second = twoDigits(bytes, start + 17)
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return false
  let at = start + 19
  if (at < end && bytes[at] === DOT) {
    const first = ++at
    while (at < end && isDigit(bytes[at] as number)) at++
    if (at === first || at - first > 9) return false
  }
  if (at < end && bytes[at] === 0x5a) at++
  return at === end
}

const TRUE = Buffer.from('true')
const FALSE = Buffer.from('false')
const DASH = 0x2d
const COLON = 0x3a
const DOT = 0x2e

function same(bytes: Uint8Array, start: number, word: Uint8Array): boolean {
  for (let i = 0; i < word.length; i++) if (bytes[start + i] !== word[i]) return false
  return true
}

function twoDigits(bytes: Uint8Array, at: number): number {
  const tens = bytes[at] as number
  const ones = bytes[at + 1] as number
  return isDigit(tens) && isDigit(ones) ? (tens - 0x30) * 10 + ones - 0x30 : -1
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}
