/**
 * CSV records straight from bytes, for dialects of single bytes. A record that has a cell for every column, and
 * nothing wrong with its quotes, becomes a row in one pass; any other is cut out and handed over as a record.
 */
import type { Row } from '../contracts.js'
import type { EtlError } from '../errors.js'
import { type ByteDialect, CsvBorder, splitRecord } from './csv-bytes.js'
import { longRecord, type OpenRecord, unclosedQuote, withoutLineBreak } from './csv-dialect.js'
import type { CsvRecords, CsvRecordsSetup } from './csv-records.js'
import { CsvRowReader } from './csv-row.js'
import { rowMaker } from './csv-shape.js'
import type { CsvColumnType } from './csv-types.js'
import { Carry, countByte, DEFAULT_MAX_ROW_BYTES, place, rowTooLarge } from './decoder.js'

export interface CsvLaneSetup extends CsvRecordsSetup {
  readonly marks: ByteDialect
  /** At least one. */
  readonly columns: readonly string[]
  readonly types: readonly CsvColumnType[]
  /** A record with a cell of another type is no plain row. */
  readonly strict: boolean
  /** The first record that is not blank is handed over as it is. */
  readonly header: () => boolean
  /** Something is wrong with a record that was handed over, and nothing behind it can be read. */
  readonly stopped: () => boolean
  readonly onDrift: (column: string) => void
  readonly onRow: (row: Row, line: number, byte: number) => void
}

/** Reads plain rows by itself, and gives every other record to `onRecord`. */
export function csvLane(setup: CsvLaneSetup): CsvRecords {
  const { marks, dialect, file, onRow, onRecord, columns } = setup
  const { newline } = marks
  const limit = setup.maxRowBytes ?? DEFAULT_MAX_ROW_BYTES
  const make = rowMaker(columns)
  const reader = new CsvRowReader(marks, setup.types, setup.strict)
  const { values, drifted } = reader
  const border = new CsvBorder(marks)
  const carry = new Carry()
  let byte = setup.byte ?? 0
  let line = setup.line ?? 1
  let failure: EtlError | undefined
  let headerAhead = setup.header()

  /**
   * Hands over every record that ends within the bytes, and tells where the first one begins that does not.
   * `added`: the line break at the end is none of the input.
   */
  function read(bytes: Buffer, added: boolean): number {
    const stop = bytes.lastIndexOf(newline) + 1
    const base = byte
    let at = 0
    reader.open(bytes, stop, added)
    while (at < stop) {
      const start = at
      at = headerAhead ? -1 : reader.row(start)
      if (at !== -1 && at - start <= limit) {
        if (drifted.length > 0) tellDrift()
        onRow(make(values), line, base + start)
        line += reader.breaks + 1
        byte = base + at
        continue
      }
      border.reset()
      at = border.find(bytes, start)
      if (at === -1) return start
      const end = added && at === stop ? at - 1 : at
      if (end - start > limit) {
        failure = rowTooLarge(limit, place(file, setup.nextRow(), line, base + start))
        return start
      }
      const raw = withoutLineBreak(bytes.subarray(start, end), dialect.newline)
      onRecord({ cells: splitRecord(raw, marks), start: base + start, end: base + end, line, raw: () => raw })
      headerAhead = setup.header()
      line += countByte(bytes, newline, start, at)
      byte = base + end
      if (setup.stopped()) return at
    }
    if (added) {
      byte = base + stop - 1
      line--
    }
    return at
  }

  function tellDrift(): void {
    for (const column of drifted) setup.onDrift(columns[column] as string)
  }

  /** Keeps the beginning of a record that has not ended. */
  function wait(bytes: Buffer): EtlError | undefined {
    carry.add(bytes)
    if (carry.length > limit) failure = longRecord(limit, waiting(carry.take()))
    return failure
  }

  function waiting(bytes: Buffer): OpenRecord {
    return { dialect, bytes, at: place(file, setup.nextRow(), line, byte) }
  }

  return {
    push(input) {
      if (failure !== undefined || input.length === 0) return failure
      let bytes = Buffer.from(input.buffer, input.byteOffset, input.byteLength)
      if (carry.length > 0) {
        const end = border.find(bytes, 0)
        if (end === -1) return wait(bytes)
        read(carry.take(bytes.subarray(0, end)), false)
        bytes = bytes.subarray(end)
      }
      if (failure !== undefined || setup.stopped()) return failure
      const used = read(bytes, false)
      if (failure !== undefined || setup.stopped()) return failure
      border.reset()
      border.find(bytes, used)
      return wait(bytes.subarray(used))
    },
    end() {
      if (failure !== undefined || carry.length === 0) return failure
      const rest = carry.take()
      const used = read(Buffer.concat([rest, Buffer.of(newline)]), true)
      if (used === 0 && failure === undefined && !setup.stopped()) failure = unclosedQuote(waiting(rest))
      return failure
    },
    at: () => ({ byte, line }),
  }
}
