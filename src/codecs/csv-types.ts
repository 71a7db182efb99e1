/**
 * Types of CSV columns. A type belongs to the column, never to the cell: inferred over a sample, or declared.
 * Numbers are what JSON calls a number; whole numbers are exact within 64 bits; what would lose a digit stays
 * text.
 */
import type { ColumnType } from '../contracts.js'

/** Types a CSV column can have. */
export type CsvColumnType = Extract<
  ColumnType,
  'string' | 'bigint' | 'double' | 'boolean' | 'date' | 'timestamp'
>

export const CSV_COLUMN_TYPES: readonly CsvColumnType[] = [
  'string',
  'bigint',
  'double',
  'boolean',
  'date',
  'timestamp',
]

/** The kinds of cells a column was seen with, as bits; what several samples saw is their OR. */
export type CellKinds = number

const WHOLE = 1
const LONG = 2
const DECIMAL = 4
const BOOLEAN = 8
const DATE = 16
const TIMESTAMP = 32
/** Text that is nothing else. */
export const TEXT = 64

const MAX_BIGINT = 2n ** 63n - 1n
const MIN_BIGINT = -(2n ** 63n)

const INTEGER = /^-?(?:0|[1-9][0-9]*)$/
const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/
const DAY = /^([0-9]{4})-([0-9]{2})-([0-9]{2})/
const TIME =
  /^[T ]([01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?$/
const BOOLEANS = new Map([
  ['true', true],
  ['True', true],
  ['TRUE', true],
  ['false', false],
  ['False', false],
  ['FALSE', false],
])

/** The kind of one cell that is not empty. */
export function kindOfCell(text: string): CellKinds {
  const first = text.charCodeAt(0)
  if (first === 0x2d || (first >= 0x30 && first <= 0x39)) {
    const whole = toBigint(text)
    if (whole !== undefined) return typeof whole === 'bigint' ? LONG : WHOLE
    if (toDouble(text) !== undefined) return DECIMAL
    if (isDate(text)) return DATE
    return isTimestamp(text) ? TIMESTAMP : TEXT
  }
  return BOOLEANS.has(text) ? BOOLEAN : TEXT
}

/** The narrowest type that holds everything seen; a column without a value is text. */
export function typeOfKinds(kinds: CellKinds): CsvColumnType {
  if (kinds === 0 || kinds & TEXT) return 'string'
  if ((kinds & (WHOLE | LONG | DECIMAL)) === kinds) {
    if (!(kinds & DECIMAL)) return 'bigint'
    // A double cannot hold every digit of a long whole number.
    return kinds & LONG ? 'string' : 'double'
  }
  if (kinds === BOOLEAN) return 'boolean'
  if ((kinds & (DATE | TIMESTAMP)) === kinds) return kinds & TIMESTAMP ? 'timestamp' : 'date'
  return 'string'
}

/** Turns text into a value of the type; `undefined` where it does not fit. Dates and timestamps stay text. */
export type CellReader = (text: string) => string | number | bigint | boolean | undefined

export function readerOf(type: CsvColumnType): CellReader | undefined {
  if (type === 'bigint') return toBigint
  if (type === 'double') return toDouble
  if (type === 'boolean') return (text) => BOOLEANS.get(text)
  if (type === 'date') return (text) => (isDate(text) ? text : undefined)
  if (type === 'timestamp') return (text) => (isDate(text) || isTimestamp(text) ? text : undefined)
  return undefined
}

/** A number within 2^53, a `bigint` within 64 bits. */
function toBigint(text: string): number | bigint | undefined {
  if (text.length > 20 || !INTEGER.test(text) || text === '-0') return undefined
  const number = Number(text)
  if (Number.isSafeInteger(number)) return number
  const exact = BigInt(text)
  return exact >= MIN_BIGINT && exact <= MAX_BIGINT ? exact : undefined
}

function toDouble(text: string): number | undefined {
  if (text.length > 64 || !NUMBER.test(text)) return undefined
  const number = Number(text)
  if (!Number.isFinite(number)) return undefined
  if (number === 0) return /^-?0*(?:\.0*)?(?:[eE].*)?$/.test(text) ? number : undefined
  if (!Number.isSafeInteger(number) && INTEGER.test(text)) return undefined
  return number
}

function isDate(text: string): boolean {
  return text.length === 10 && startsWithDay(text)
}

function isTimestamp(text: string): boolean {
  return text.length > 10 && TIME.test(text.slice(10)) && startsWithDay(text)
}

function startsWithDay(text: string): boolean {
  const match = DAY.exec(text)
  if (match === null) return false
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])]
  return month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month)
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return [4, 6, 9, 11].includes(month) ? 30 : 31
}
