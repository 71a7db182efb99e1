/**
 * CSV text to JSON lines, where nobody wants rows. Records that follow the rules are written in WebAssembly; one
 * that does not is shown to the other decoder, which says what is wrong with it, and where no later border is
 * certain that decoder takes over for good. So both give the same rows, rejections and errors.
 */
import type { RejectedRow, Row } from '../../contracts.js'
import { type CsvDecoderSetup, columnNames, csvDecoder } from '../csv.js'
import type { CsvDialect } from '../csv-records.js'
import type { CsvColumnType } from '../csv-types.js'
import { Carry, DEFAULT_MAX_ROW_BYTES, type Decoded, type Decoder, place, startOf } from '../decoder.js'
import { byteLane, type Engine, MORE, REFUSED, takeEngine, WIDER } from './engine.js'
import { followedBy, Gathered } from './rows.js'

/** A decoder that gives JSON text where it can, and otherwise is `csvDecoder`. */
export function csvByteDecoder<R = Row>(setup: CsvDecoderSetup): Decoder<R> {
  const { dialect, columns } = setup.layout
  const able = columns.length > 0 && isPlain(dialect) && byteLane().available
  return able ? new CsvByteDecoder<R>(setup) : csvDecoder<R>(setup)
}

/** One ASCII character each as delimiter and quote, which doubles to stand for itself. */
function isPlain({ delimiter, quote, escape: mark, comment, newline }: CsvDialect): boolean {
  return (
    isByte(delimiter) &&
    (quote === null || (isByte(quote) && quote !== delimiter && (mark === null || mark === quote))) &&
    comment === null &&
    newline === '\n'
  )
}

function isByte(text: string): boolean {
  return text.length === 1 && text < '\u0080' && text !== '\n' && text !== '\r' && text !== '\0'
}

const TYPES: Readonly<Record<CsvColumnType, number>> = {
  string: 0,
  bigint: 1,
  double: 2,
  boolean: 3,
  date: 4,
  timestamp: 5,
}
const LF = 10
const CR = 13
/** No byte of UTF-8. */
const NO_QUOTE = 255
/** Tables start here; the addresses before stay unused. */
const TABLES_AT = 1024
/** A longer row that has not ended is looked at again only when so much more of it has come. */
const PATIENT_BYTES = 256 * 1024
const PATIENCE = 1.25

class CsvByteDecoder<R> implements Decoder<R> {
  private readonly setup: CsvDecoderSetup
  private readonly limit: number
  private readonly carry = new Carry()
  private names: readonly string[]
  private tables: Buffer
  /** Cells per column that did not fit, not yet told. */
  private readonly drift: number[]
  private byte: number
  private row: number
  private line: number
  private header: boolean
  /** Bytes of the unfinished row when it was looked at last. */
  private seen = 0
  /** Looks at records that are refused. */
  private judging: Decoder | undefined
  /** The decoder that has taken over. */
  private other: Decoder<R> | undefined

  constructor(setup: CsvDecoderSetup) {
    const from = startOf(setup)
    this.setup = setup
    this.limit = setup.maxRowBytes ?? DEFAULT_MAX_ROW_BYTES
    this.names = setup.layout.columns
    this.tables = this.makeTables()
    this.drift = this.names.map(() => 0)
    this.byte = from.byte
    this.row = from.row
    this.line = from.line
    this.header = setup.layout.header && setup.resume === undefined
  }

  push(bytes: Uint8Array): Decoded<R> | undefined {
    if (this.other !== undefined) return this.other.push(bytes)
    const waiting = this.carry.length + bytes.length
    const ends = bytes.includes(LF) || this.seen < this.carry.length
    const early = this.seen > PATIENT_BYTES && waiting < this.seen * PATIENCE
    if (waiting <= this.limit && (!ends || early)) {
      this.carry.add(bytes)
      if (!ends && this.seen === this.carry.length - bytes.length) this.seen = this.carry.length
      return undefined
    }
    const data = this.carry.take(bytes)
    const decoded = this.decode(data, data.length)
    const rest = data.subarray(data.length - this.left)
    if (this.isOver || rest.length > this.limit) return followedBy(decoded, this.handOver(rest))
    this.carry.add(rest)
    this.seen = rest.length
    return decoded
  }

  end(): Decoded<R> | undefined {
    if (this.other !== undefined) return this.other.end()
    if (this.carry.length === 0) return undefined
    const data = this.carry.take()
    // The last record may lack its line break; a lone CR there is text, which the other decoder knows.
    const borrowed = data.at(-1) === CR || data.at(-1) === LF ? 0 : 1
    const decoded = this.decode(borrowed === 0 ? data : Buffer.concat([data, LINE_BREAK]), data.length)
    if (this.left === 0) return decoded
    const rest = this.handOver(data.subarray(data.length - this.left))
    return followedBy(decoded, followedBy(rest, (this.other as Decoder<R> | undefined)?.end()))
  }

  /** How much of the input was left, and whether the other decoder has to go on there. */
  private left = 0
  private isOver = false

  /** `length`: bytes of the input that are there, without a line break that was lent to it. */
  private decode(input: Buffer, length: number): Decoded<R> | undefined {
    const engine = takeEngine()
    const rejected: RejectedRow[] = []
    const gathered = new Gathered(this.row + 1)
    const before = this.byte
    let data = input
    let status = WIDER
    let start = 0
    while (status === WIDER) {
      this.load(engine, data)
      status = engine.run('csv', data.length, gathered.add)
      while (status === REFUSED) {
        gathered.add(engine.take())
        const { used, skipTo } = engine
        const refused = this.judge(
          data.subarray(used, Math.min(skipTo, length - start)),
          gathered.next(),
          this.byte + used,
          engine.code.line.value,
        )
        if (refused === undefined) break
        rejected.push(refused)
        gathered.leaveOut()
        engine.code.passRefused()
        status = engine.run('csv', data.length, gathered.add)
      }
      gathered.add(engine.take())
      this.header = engine.code.header.value !== 0
      const used = engine.used
      this.byte += used
      this.line = engine.code.line.value
      start += used
      data = data.subarray(used)
      this.countDrift(engine)
      if (status === WIDER) this.widen()
    }
    this.row = gathered.next() - 1
    this.isOver = status !== MORE
    this.left = length - start
    if (this.left < 0) {
      this.left = 0
      this.byte--
      this.line--
    }
    this.tellDrift()
    if (this.byte === before) return undefined
    return {
      batch: gathered.batch(this.setup.file),
      rejected,
      resume: { byte: this.byte, row: this.row, line: this.line },
      error: undefined,
    }
  }

  private load(engine: Engine, data: Uint8Array): void {
    const { dialect, columns } = this.setup.layout
    const drifting = TABLES_AT + this.tables.length
    const inputFrom = drifting + columns.length * 4
    engine.reserve(inputFrom)
    engine.memory.set(this.tables, TABLES_AT)
    engine.load(data, inputFrom, this.byte, this.line, this.limit, data.length * 2 + 64 * 1024)
    engine.code.beginCsv(
      dialect.delimiter.charCodeAt(0),
      dialect.quote === null ? NO_QUOTE : dialect.quote.charCodeAt(0),
      columns.length,
      this.names.length,
      this.header,
      this.setup.ragged === 'fill',
      this.setup.strict === true,
      TABLES_AT,
      drifting,
    )
  }

  /** Per name address, length, type and a counter, then the texts. Addresses are final. */
  private makeTables(): Buffer {
    const { types } = this.setup.layout
    const texts = this.names.map((name, index) =>
      Buffer.from(`${index === 0 ? '{' : ','}${JSON.stringify(name)}:`),
    )
    const head = Buffer.alloc(texts.length * 16)
    let at = TABLES_AT + head.length
    texts.forEach((text, index) => {
      head.writeInt32LE(at, index * 16)
      head.writeInt32LE(text.length, index * 16 + 4)
      head.writeInt32LE(TYPES[types[index] ?? 'string'], index * 16 + 8)
      at += text.length
    })
    // Texts are read sixteen bytes at a time.
    return Buffer.concat([head, ...texts, Buffer.alloc(32 - (at % 16))])
  }

  private widen(): void {
    const cells = [...this.names, ...new Array<string>(this.names.length + 16).fill('')]
    this.names = columnNames(cells)
    this.tables = this.makeTables()
  }

  /** Takes the counters out before the tables are written again. */
  private countDrift({ memory }: Engine): void {
    const { drift } = this
    const view = new DataView(memory.buffer, TABLES_AT, drift.length * 16)
    for (let i = 0; i < drift.length; i++) drift[i] = (drift[i] as number) + view.getInt32(i * 16 + 12, true)
  }

  private tellDrift(): void {
    const { onDrift, layout } = this.setup
    this.drift.forEach((cells, index) => {
      for (let told = 0; told < cells; told++) onDrift?.(layout.columns[index] as string)
    })
    this.drift.fill(0)
  }

  /** What the other decoder says about a record that is certain to be refused. */
  private judge(record: Buffer, row: number, byte: number, line: number): RejectedRow | undefined {
    // Its reasons name no place, so one decoder can look at records from anywhere.
    this.judging ??= csvDecoder({ ...this.setup, onDrift: undefined, resume: NOWHERE })
    const said = this.judging.push(record)
    const refused = said?.rejected[0]
    if (said?.error === undefined && refused !== undefined)
      return { ...refused, position: place(this.setup.file, row, line, byte) }
    this.judging = undefined
    const fresh = csvDecoder({ ...this.setup, onDrift: undefined, resume: { byte, row: row - 1, line } })
    const decoded = followedBy(fresh.push(record), fresh.end())
    return decoded?.error === undefined ? decoded?.rejected[0] : undefined
  }

  private handOver(rest: Uint8Array): Decoded<R> | undefined {
    const { byte, row, line } = this
    this.other = csvDecoder<R>(this.header ? this.setup : { ...this.setup, resume: { byte, row, line } })
    return this.other.push(rest)
  }
}

const NOWHERE = { byte: 0, row: 0, line: 1 }
const LINE_BREAK = Buffer.from('\n')
