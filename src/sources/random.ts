/**
 * Rows made from a seed, for tests and measurements: the same options give the same rows, on any machine.
 *
 *     const rows = randomSource({ rows: 1_000_000, columns: 10, seed: 7 })
 *
 * Batches of 1000 rows with a cursor each. The values look like data and mean nothing.
 */
import { rowsBatch } from '../batch.js'
import type { Batch, Partition, ReadRequest, Row, Source } from '../contracts.js'
import { EtlError, throwIfAborted } from '../errors.js'
import { invalidOption, oneOf, wholeNumber } from '../internal/options.js'

export type RandomType = 'bigint' | 'double' | 'string' | 'boolean' | 'date' | 'timestamp'

export interface RandomSourceOptions {
  /** Rows in all. */
  readonly rows: number
  /** How many columns (`c1`, `c2`, …), their names, or their types by name. Default 10. */
  readonly columns?: number | readonly string[] | Readonly<Record<string, RandomType>> | undefined
  /** Types of the columns in turn, where `columns` does not say. Default all six. */
  readonly types?: readonly RandomType[] | undefined
  /** A whole number. Default 1. */
  readonly seed?: number | undefined
  /** Independent parts, each with its share of the rows. Default 1. */
  readonly partitions?: number | undefined
  /** Rows of one batch. Default 1000. */
  readonly batchRows?: number | undefined
}

const TYPES: readonly RandomType[] = ['bigint', 'double', 'string', 'boolean', 'date', 'timestamp']
const DAY_MS = 86_400_000
const YEARS_2000_TO_2030_DAYS = 10_957
const START_MS = Date.UTC(2000, 0, 1)
const SYLLABLES = [
  'ka',
  'lo',
  'mi',
  'ren',
  'sa',
  'tu',
  'vel',
  'no',
  'ber',
  'di',
  'fa',
  'gil',
  'hu',
  'jor',
  'pe',
  'zi',
]

export function randomSource(options: RandomSourceOptions): Source<Row> {
  const rows = wholeNumber('rows', options.rows, 0, 0)
  const seed = wholeNumber('seed', options.seed, 1, 0)
  const batchRows = wholeNumber('batchRows', options.batchRows, 1000)
  const partitions = wholeNumber('partitions', options.partitions, 1)
  const columns = columnsOf(options)
  const parts = Array.from({ length: partitions }, (_, index): Partition => {
    return {
      id: String(index),
      data: {
        start: Math.floor((rows * index) / partitions),
        end: Math.floor((rows * (index + 1)) / partitions),
      },
    }
  })

  async function* read(request: ReadRequest): AsyncGenerator<Batch> {
    const { start, end } = (request.partition?.data as Range | undefined) ?? { start: 0, end: rows }
    const last = Math.min(end, start + (request.limit ?? Number.POSITIVE_INFINITY))
    for (let at = request.from === undefined ? start : cursorOf(request.from, start, end); at < last; ) {
      throwIfAborted(request.signal)
      const until = Math.min(at + batchRows, last)
      const batch: Row[] = []
      for (let row = at; row < until; row++) {
        const made: Row = {}
        columns.forEach(([name, type], column) => {
          made[name] = cellOf(type, hash(seed, row, column), row)
        })
        batch.push(made)
      }
      yield rowsBatch(batch, { row: until }, { row: at + 1 })
      at = until
    }
    if (last === end) request.expect?.(end - start)
  }

  return {
    name: 'random',
    fingerprint: `random:${seed}:${rows}:${JSON.stringify(columns)}`,
    read,
    partitions: async () => parts,
    schema: async () => ({ columns: columns.map(([name, type]) => ({ name, type })) }),
  }
}

interface Range {
  readonly start: number
  readonly end: number
}

function columnsOf(options: RandomSourceOptions): [string, RandomType][] {
  const types = options.types ?? TYPES
  if (types.length === 0) throw invalidOption('types', 'at least one type', types)
  for (const type of types) oneOf('types', type, TYPES)
  const { columns = 10 } = options
  if (typeof columns === 'object' && !Array.isArray(columns)) {
    const named = Object.entries(columns as Readonly<Record<string, RandomType>>)
    for (const [name, type] of named) oneOf(`columns.${name}`, type, TYPES)
    return named
  }
  const names =
    typeof columns === 'number'
      ? Array.from({ length: wholeNumber('columns', columns, 10) }, (_, index) => `c${index + 1}`)
      : (columns as readonly string[])
  return names.map((name, index) => [name, types[index % types.length] as RandomType])
}

function cursorOf(from: unknown, start: number, end: number): number {
  const row = (from as { row?: unknown } | null)?.row
  if (typeof row === 'number' && Number.isInteger(row) && row >= start && row <= end) return row
  throw new EtlError(
    'ETL_CURSOR_INVALID',
    `the saved position ${JSON.stringify(from)} does not lie within rows ${start} to ${end}; start anew without the checkpoint`,
  )
}

/** 32 well mixed bits for one cell, from its place alone: any row can be made without those before it. */
function hash(seed: number, row: number, column: number): number {
  let h =
    Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^
    Math.imul(row | 0, 0xc2b2ae35) ^
    Math.imul(column + 1, 0x27d4eb2f)
  h ^= Math.floor(row / 0x1_0000_0000)
  h = Math.imul(h ^ (h >>> 16), 0x21f0aaad)
  h = Math.imul(h ^ (h >>> 15), 0x735a2d97)
  return (h ^ (h >>> 15)) >>> 0
}

function cellOf(type: RandomType, bits: number, row: number): unknown {
  switch (type) {
    case 'bigint':
      return bits % 1_000_000
    case 'double':
      return (bits % 10_000_000) / 100
    case 'boolean':
      return (bits & 1) === 1
    case 'date':
      return new Date(START_MS + (bits % YEARS_2000_TO_2030_DAYS) * DAY_MS).toISOString().slice(0, 10)
    case 'timestamp':
      return new Date(
        START_MS + (bits % YEARS_2000_TO_2030_DAYS) * DAY_MS + (row % 86_400) * 1000,
      ).toISOString()
    default:
      return wordOf(bits)
  }
}

function wordOf(bits: number): string {
  let word = ''
  for (let rest = bits, left = 2 + (bits & 3); left > 0; left--, rest >>>= 4) word += SYLLABLES[rest & 15]
  return word
}
