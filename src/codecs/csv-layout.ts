/** Finds out, from the beginning of a CSV text, what the decoder has to know before its first row. */
import { EtlError } from '../errors.js'
import { type CsvLayout, columnNames } from './csv.js'
import { type CsvDialect, csvRecords } from './csv-records.js'
import { type CellKinds, type CsvColumnType, kindOfCell, typeOfKinds } from './csv-types.js'
import { detectDelimiter, detectNewline, looksLikeHeader } from './sniff.js'

export interface CsvLayoutOptions {
  readonly delimiter?: string | undefined
  readonly quote?: string | null | undefined
  readonly escape?: string | null | undefined
  readonly comment?: string | undefined
  /** Default `true`, and `false` where `columns` are named. */
  readonly header?: boolean | 'auto' | undefined
  readonly columns?: readonly string[] | undefined
  /** Declared types by column, or `false` for text everywhere. */
  readonly types?: false | Readonly<Record<string, CsvColumnType>> | undefined
  /** Rows the types are inferred from. Default 1000. */
  readonly sampleRows?: number | undefined
}

/** What a sample shows, before a type is chosen. Plain JSON: samples of several files are merged by column. */
export interface CsvSample {
  readonly dialect: CsvDialect
  readonly header: boolean
  readonly columns: readonly string[]
  /** One per column. */
  readonly kinds: readonly CellKinds[]
}

const DEFAULT_SAMPLE_ROWS = 1000
const SLICE = 64 * 1024

/**
 * Reads a sample. `whole`: nothing follows the head. Throws `ETL_FILE_EMPTY` where a header is expected and
 * nothing is there, `ETL_CSV_HEADER` where the first record does not end within the head.
 */
export function sampleCsv(
  head: Uint8Array,
  whole: boolean,
  file: string,
  options: CsvLayoutOptions = {},
): CsvSample {
  const quote = options.quote === undefined ? '"' : options.quote
  const dialect: CsvDialect = {
    delimiter: options.delimiter ?? detectDelimiter(head, file, quote),
    quote,
    escape: options.escape ?? quote,
    comment: options.comment ?? null,
    newline: detectNewline(head, whole),
  }
  const wanted = (options.sampleRows ?? DEFAULT_SAMPLE_ROWS) + 1
  const records = firstRecords(head, whole, dialect, wanted)
  const first = records[0]
  if (first === undefined) return emptySample(head, whole, file, dialect, options)
  const header = hasHeader(options, first)
  const columns = namesOf(options, header, first, file)
  const kinds = new Array<CellKinds>(columns.length).fill(0)
  for (let r = header ? 1 : 0; r < records.length; r++) {
    const cells = records[r] as string[]
    if (cells.length !== columns.length) continue
    for (let c = 0; c < cells.length; c++) {
      const cell = cells[c] as string
      if (cell !== '') kinds[c] = (kinds[c] as CellKinds) | kindOfCell(cell)
    }
  }
  return { dialect, header, columns, kinds }
}

/** The layout of one file, with the kinds that all files together showed. */
export function layoutOf(
  sample: CsvSample,
  file: string,
  types: CsvLayoutOptions['types'],
  shared?: ReadonlyMap<string, CsvColumnType>,
): CsvLayout {
  const { dialect, header, columns } = sample
  const declared = new Map(types === false || types === undefined ? [] : Object.entries(types))
  for (const name of declared.keys()) {
    if (columns.includes(name)) continue
    throw new EtlError(
      'ETL_CSV_COLUMN_UNKNOWN',
      `option types names the column ${JSON.stringify(name)}, but ${file} has ${columns.map((column) => JSON.stringify(column)).join(', ')}`,
      { context: { file, column: name, option: 'types' } },
    )
  }
  return {
    dialect,
    header,
    columns,
    types: columns.map((name, index) => {
      if (types === false) return 'string'
      return declared.get(name) ?? shared?.get(name) ?? typeOfKinds(sample.kinds[index] as CellKinds)
    }),
  }
}

/** One type per column name over all samples. */
export function sharedTypes(samples: readonly CsvSample[]): Map<string, CsvColumnType> {
  const kinds = new Map<string, CellKinds>()
  for (const sample of samples) {
    sample.columns.forEach((name, index) => {
      kinds.set(name, (kinds.get(name) ?? 0) | (sample.kinds[index] as CellKinds))
    })
  }
  return new Map([...kinds].map(([name, seen]) => [name, typeOfKinds(seen)]))
}

function firstRecords(head: Uint8Array, whole: boolean, dialect: CsvDialect, wanted: number): string[][] {
  const found: string[][] = []
  const records = csvRecords({
    dialect,
    maxRowBytes: Number.MAX_SAFE_INTEGER,
    nextRow: () => found.length,
    onRecord: (record) => {
      const blank = record.cells.length === 1 && record.cells[0] === ''
      if (found.length < wanted && !(blank && record.raw().length === 0)) found.push(record.cells)
    },
  })
  // What is wrong in the sample is told by the decoder, with the row it is in.
  for (let at = 0; at < head.length && found.length < wanted; at += SLICE) {
    if (records.push(head.subarray(at, at + SLICE)) !== undefined) return found
  }
  if (whole && found.length < wanted) records.end()
  return found
}

function emptySample(
  head: Uint8Array,
  whole: boolean,
  file: string,
  dialect: CsvDialect,
  options: CsvLayoutOptions,
): CsvSample {
  const header = options.header ?? options.columns === undefined
  const broken = whole && head.some((byte) => byte !== 10 && byte !== 13)
  if (!whole) {
    throw new EtlError(
      'ETL_CSV_HEADER',
      `${file}: the first line does not end within ${head.length} bytes; a quote may be open, or the file is no CSV`,
      { context: { file, line: 1, byte: 0 } },
    )
  }
  // Only comments or an open quote: the decoder says which.
  if (broken || header !== true) {
    const columns = columnNames(options.columns ?? [])
    return { dialect, header: header === true, columns, kinds: columns.map(() => 0) }
  }
  throw new EtlError(
    'ETL_FILE_EMPTY',
    `${file} is empty: expected a line of column names; pass header: false if an empty file is fine`,
    { context: { file } },
  )
}

function hasHeader(options: CsvLayoutOptions, first: readonly string[]): boolean {
  if (options.header === 'auto') return looksLikeHeader(first)
  return options.header ?? options.columns === undefined
}

function namesOf(
  options: CsvLayoutOptions,
  header: boolean,
  first: readonly string[],
  file: string,
): string[] {
  if (options.columns === undefined) return columnNames(header ? first : first.map(() => ''))
  if (header && options.columns.length !== first.length) {
    throw new EtlError(
      'ETL_CSV_COLUMNS',
      `option columns names ${options.columns.length} columns, but the header of ${file} has ${first.length}`,
      { context: { file, line: 1, option: 'columns' } },
    )
  }
  return columnNames(options.columns)
}
