/** A CSV file with a header row as JSON documents. Types belong to the column and are told from the first rows. */
import { createReadStream } from 'node:fs'
import { parse } from 'csv-parse'
import { emptyPiece, type Piece } from './piece.js'

const SAMPLE_ROWS = 1000
const PIECE_ROWS = 1000
const MAX_RECORD_CHARS = 64 * 1024 * 1024

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/
const INTEGER = /^-?(?:0|[1-9]\d*)$/
const BOOLEAN = /^(?:true|false)$/i

type ColumnType = 'number' | 'boolean' | 'text'

export async function* csvDocuments(path: string): AsyncGenerator<Piece> {
  const file = createReadStream(path)
  const parser = parse({
    bom: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: MAX_RECORD_CHARS,
  })
  file.on('error', (error) => parser.destroy(error))
  file.pipe(parser)
  let keys: string[] | undefined
  let types: ColumnType[] | undefined
  let rows: string[][] = []
  let row = 1
  try {
    for await (const record of parser as AsyncIterable<string[]>) {
      if (keys === undefined) {
        keys = header(record)
        continue
      }
      rows.push(record)
      if (rows.length < (types === undefined ? SAMPLE_ROWS : PIECE_ROWS)) continue
      types ??= typesOf(rows, keys.length)
      yield convert(rows, keys, types, row)
      row += rows.length
      rows = []
    }
    if (keys !== undefined) yield convert(rows, keys, types ?? typesOf(rows, keys.length), row)
  } finally {
    file.destroy()
    parser.destroy()
  }
}

/** The member names as JSON. Names that repeat are numbered, an empty one is named after its place. */
function header(names: readonly string[]): string[] {
  const taken = new Set<string>()
  return names.map((given, place) => {
    const base = given === '' ? `column_${place + 1}` : given
    let name = base
    for (let n = 2; taken.has(name); n += 1) name = `${base}_${n}`
    taken.add(name)
    return JSON.stringify(name)
  })
}

function typesOf(rows: readonly string[][], width: number): ColumnType[] {
  return Array.from({ length: width }, (_, place) => {
    let numbers = 0
    let booleans = 0
    let values = 0
    for (const row of rows) {
      const value = row[place]
      if (value === undefined || value === '') continue
      values += 1
      if (isNumber(value)) numbers += 1
      else if (BOOLEAN.test(value)) booleans += 1
    }
    if (values === 0) return 'text'
    return numbers === values ? 'number' : booleans === values ? 'boolean' : 'text'
  })
}

/** What JSON calls a number, integers within 64 bits. */
function isNumber(value: string): boolean {
  if (!NUMBER.test(value)) return false
  if (value.length < 19 || !INTEGER.test(value)) return true
  return BigInt.asIntN(64, BigInt(value)) === BigInt(value)
}

/** A later value that is not of its column's type stays text. */
function convert(
  rows: readonly string[][],
  keys: readonly string[],
  types: readonly ColumnType[],
  first: number,
): Piece {
  const piece = emptyPiece()
  rows.forEach((row, i) => {
    if (row.length !== keys.length) {
      piece.refused.push({ place: first + i, reason: `expected ${keys.length} values, got ${row.length}` })
      return
    }
    let text = '{'
    for (let place = 0; place < keys.length; place += 1)
      text += `${place === 0 ? '' : ','}${keys[place]}:${cell(row[place]!, types[place]!)}`
    piece.texts.push(`${text}}`)
    piece.places.push(first + i)
  })
  return piece
}

function cell(value: string, type: ColumnType): string {
  if (value === '') return 'null'
  if (type === 'number' && isNumber(value)) return value
  if (type === 'boolean' && BOOLEAN.test(value)) return value.toLowerCase()
  return JSON.stringify(value)
}
