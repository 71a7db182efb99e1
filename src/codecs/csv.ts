/**
 * CSV text to rows. The layout says what the columns are called and typed; records of another length, and
 * under `strict` cells of another type, are rejected rows. Text after a closing quote, and a quote that is
 * never closed, leave the borders of all later records unknown and end the input.
 */
import { rowsBatch } from '../batch.js'
import type { RejectedRow, Row } from '../contracts.js'
import { EtlError } from '../errors.js'
import { type ByteDialect, byteDialect } from './csv-bytes.js'
import { csvLane } from './csv-lane.js'
import {
  type CsvDialect,
  type CsvRecord,
  type CsvRecordsSetup,
  csvRecords,
  recordShape,
} from './csv-records.js'
import { setColumn } from './csv-shape.js'
import { type CellReader, type CsvColumnType, readerOf } from './csv-types.js'
import {
  type Decoded,
  type Decoder,
  type DecoderSetup,
  type Place,
  Positions,
  place,
  shownText,
  startOf,
} from './decoder.js'

/** What has to be known before the first row. Plain JSON, part of a cursor. */
export interface CsvLayout {
  readonly dialect: CsvDialect
  /** The input begins with a line of column names, which is no row. */
  readonly header: boolean
  readonly columns: readonly string[]
  /** One per column. */
  readonly types: readonly CsvColumnType[]
}

export interface CsvDecoderSetup extends DecoderSetup {
  readonly layout: CsvLayout
  /** `'fill'`: missing cells are null, cells too many become columns `column_<n>`. Default `'reject'`. */
  readonly ragged?: 'reject' | 'fill' | undefined
  /** A cell that does not fit its column's type rejects the row. Default: it stays text. */
  readonly strict?: boolean | undefined
  /** Told of a cell that does not fit its column's type, unless `strict`. */
  readonly onDrift?: ((column: string) => void) | undefined
}

/** Column names as the header gives them, with names for those that are empty or taken. */
export function columnNames(header: readonly string[]): string[] {
  const literal = new Set(header)
  const taken = new Set<string>()
  const free = (base: string, from: number, name: (n: number) => string): string => {
    if (base !== '' && !taken.has(base)) return base
    let n = from
    while (literal.has(name(n)) || taken.has(name(n))) n++
    return name(n)
  }
  return header.map((cell, index) => {
    const name =
      cell === '' ? free('', index + 1, (n) => `column_${n}`) : free(cell, 2, (n) => `${cell}_${n}`)
    taken.add(name)
    return name
  })
}

/** A decoder for CSV: bytes are read in one pass where all marks are single ones, else by csv-parse. */
export function csvDecoder<R = Row>(setup: CsvDecoderSetup): Decoder<R> {
  return decoderOver(setup, byteDialect(setup.layout.dialect))
}

/** The same over csv-parse for every dialect. */
export function csvPackageDecoder<R = Row>(setup: CsvDecoderSetup): Decoder<R> {
  return decoderOver(setup, undefined)
}

function decoderOver<R>(setup: CsvDecoderSetup, marks: ByteDialect | undefined): Decoder<R> {
  const { layout, file } = setup
  const { columns, dialect } = layout
  const width = columns.length
  const fill = setup.ragged === 'fill'
  const readers = layout.types.map((type) => readerOf(type))
  const typed = readers.some((reader) => reader !== undefined)
  const from = startOf(setup)
  let extra: readonly string[] = columns
  let row = from.row
  let headerAhead = layout.header && setup.resume === undefined
  let rows: Row[] = []
  let positions = new Positions(file)
  let rejected: RejectedRow[] = []
  let failure: EtlError | undefined
  let stuck: { byte: number; line: number } | undefined
  let moved = false

  const common: CsvRecordsSetup = {
    dialect,
    file,
    byte: from.byte,
    line: from.line,
    maxRowBytes: setup.maxRowBytes,
    nextRow: () => row + 1,
    onRecord: take,
  }
  const records =
    marks === undefined || width === 0
      ? csvRecords(common)
      : csvLane({
          ...common,
          marks,
          columns,
          types: layout.types,
          strict: setup.strict === true,
          header: () => headerAhead,
          stopped: () => failure !== undefined,
          onDrift: (column) => setup.onDrift?.(column),
          onRow: add,
        })

  function add(made: Row, line: number, byte: number): void {
    row++
    moved = true
    rows.push(made)
    positions.add(row, line, byte)
  }

  function take(record: CsvRecord): void {
    if (failure !== undefined) return
    const { cells } = record
    if (cells.length === 1 && cells[0] === '' && (width > 1 || headerAhead) && record.raw().length === 0) {
      // Before the header nothing can be resumed: the header would be taken for a row.
      if (!headerAhead) moved = true
      return
    }
    const stray = strayQuote(record)
    if (stray !== undefined) {
      failure = stray
      stuck = { byte: record.start, line: record.line }
      return
    }
    moved = true
    if (headerAhead) {
      headerAhead = false
      return
    }
    row++
    const at = place(file, row, record.line, record.start)
    if (cells.length !== width && !fill) {
      refuse(record, 'ETL_CSV_COLUMNS', raggedReason(cells.length, width), at)
      return
    }
    const made = makeRow(record, at)
    if (made === undefined) return
    rows.push(made)
    positions.add(row, record.line, record.start)
  }

  function makeRow(record: CsvRecord, at: Place): Row | undefined {
    const { cells } = record
    if (fill && cells.length > extra.length) extra = widened(extra, cells.length)
    const names = cells.length > width ? extra : columns
    let quoted: readonly boolean[] | undefined
    const made: Row = {}
    for (let i = 0; i < names.length; i++) {
      const cell = i < cells.length ? (cells[i] as string) : undefined
      let value: unknown = cell ?? null
      if (cell === '') {
        // Only the bytes tell "" from nothing; text keeps the difference, other types have no empty value.
        quoted ??=
          dialect.quote !== null && record.raw().includes(dialect.quote.repeat(2))
            ? recordShape(record.raw(), dialect).quoted
            : NONE
        value = quoted[i] === true && readers[i] === undefined ? '' : null
      } else if (typed && cell !== undefined) {
        const reader = readers[i] as CellReader | undefined
        if (reader !== undefined) {
          const read = reader(cell)
          if (read !== undefined) value = read
          else if (setup.strict)
            return refuse(record, 'ETL_CSV_TYPE', typeReason(names[i] as string, i, cell), at)
          else setup.onDrift?.(names[i] as string)
        }
      }
      setColumn(made, names[i] as string, value)
    }
    return made
  }

  function typeReason(column: string, index: number, cell: string): string {
    return `expected a ${layout.types[index]} in column ${column}, got ${JSON.stringify(cell.slice(0, 60))}`
  }

  function refuse(record: CsvRecord, code: string, reason: string, position: Place): undefined {
    const raw = record.raw()
    rejected.push({
      row: shownText(raw, 0, raw.length),
      code,
      reason,
      position,
    })
    return undefined
  }

  /**
   * csv-parse reads on after text behind a closing quote; such a cell keeps its opening quote, unless NUL
   * follows, which it takes for the end.
   */
  function strayQuote(record: CsvRecord): EtlError | undefined {
    const { quote } = dialect
    if (quote === null) return undefined
    if (!record.cells.some((cell) => cell.startsWith(quote) || cell.includes('\0'))) return undefined
    const raw = record.raw()
    const { stray } = recordShape(raw, dialect)
    if (stray === undefined) return undefined
    const byte = record.start + stray
    const what = JSON.stringify(raw.toString('utf8', stray, stray + 12))
    return new EtlError(
      'ETL_CSV_QUOTE',
      `expected ${JSON.stringify(dialect.delimiter)} or the end of the line after a closing quote, got ${what} (${file ?? 'input'}, row ${row + 1}, line ${record.line}, byte ${byte}); double the quotes inside a cell, or pass quote: null if quotes have no meaning`,
      { context: { ...place(file, row + 1, record.line, byte) } },
    )
  }

  function decoded(error: EtlError | undefined): Decoded<R> | undefined {
    const ended = failure ?? error
    if (!moved && ended === undefined) return undefined
    const { byte, line } = stuck ?? records.at()
    const out: Decoded<R> = {
      batch: rowsBatch(rows as R[], undefined, positions.origin()),
      rejected,
      resume: { byte, row, line },
      error: ended,
    }
    rows = []
    positions = new Positions(file)
    rejected = []
    moved = false
    return out
  }

  let over = false
  function step(run: () => EtlError | undefined): Decoded<R> | undefined {
    if (over) return undefined
    const out = decoded(run())
    over = out?.error !== undefined
    return out
  }

  return { push: (bytes) => step(() => records.push(bytes)), end: () => step(() => records.end()) }
}

const NONE: readonly boolean[] = []

function raggedReason(got: number, expected: number): string {
  return `expected ${expected} cells, got ${got}`
}

function widened(names: readonly string[], width: number): string[] {
  const cells = [...names]
  while (cells.length < width) cells.push('')
  return columnNames(cells)
}
