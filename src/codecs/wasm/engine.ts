/**
 * The WebAssembly side of the byte lane: one instance per process, since no call ever waits. A decoder brings
 * its input and its tables along with every call and takes the output away by copy, because memory moves when
 * it grows.
 */
import { existsSync, readFileSync } from 'node:fs'
import { messageOf } from '../../errors.js'
import { readerOf } from '../csv-types.js'

/** Answers of a call; the same numbers as in `assembly/state.ts`. */
export const MORE = 0
const FULL = 1
const LISTED = 2
export const REFUSED = 3
export const ODD = 4
export const WIDER = 5

/** What is used of WebAssembly; the type library of ES2023 does not have it. */
interface Wasm {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown }
}
const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: Wasm }

interface Variable {
  readonly value: number
}

/** What `assembly/index.ts` exports. */
interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer; readonly grow: (pages: number) => number }
  readonly begin: (
    input: number,
    offset: number,
    line: number,
    limit: number,
    lists: number,
    listRows: number,
    output: number,
    outputEnd: number,
  ) => void
  readonly beginCsv: (
    delimiter: number,
    quote: number,
    columns: number,
    names: number,
    header: boolean,
    fill: boolean,
    strict: boolean,
    table: number,
    drifting: number,
  ) => void
  readonly beginJson: (opening: boolean, stack: number, depth: number) => void
  readonly bulk: (
    rows: number,
    count: number,
    head: number,
    headLength: number,
    ordinal: number,
    output: number,
    outputEnd: number,
  ) => number
  readonly csv: (end: number) => number
  readonly json: (end: number) => number
  readonly taken: () => void
  readonly widen: (outputEnd: number) => void
  readonly passRefused: () => void
  readonly at: Variable
  readonly bulkEnd: Variable
  readonly line: Variable
  readonly header: Variable
  readonly out: Variable
  readonly outEnd: Variable
  readonly rows: Variable
  readonly skipTo: Variable
}

/** Rows as text with their places, as they left the memory. */
export interface Part {
  readonly bytes: Buffer
  readonly starts: Int32Array
  readonly ends: Int32Array
  readonly at: Float64Array
  readonly lines: Float64Array
}

const PAGE = 64 * 1024
/** Zero bytes behind the input. */
const PADDING = 64
/** Rows whose places are kept before a part is taken out. */
const LIST_ROWS = 16 * 1024
/** What a single huge row needed is not kept for all the rest. */
const MAX_KEPT_BYTES = 64 * 1024 * 1024

export class Engine {
  readonly code: Exports
  /** The whole memory; made anew when it grew. */
  memory: Uint8Array
  private inputAt = 0
  private lists = 0
  private outAt = 0

  constructor(module: object) {
    const doubles = readerOf('double')
    const imports = {
      cells: {
        isDouble: (from: number, to: number) =>
          doubles?.(Buffer.from(this.memory.subarray(from, to)).toString('latin1')) === undefined ? 0 : 1,
      },
    }
    this.code = new WebAssembly.Instance(module, imports).exports as unknown as Exports
    this.memory = new Uint8Array(this.code.memory.buffer)
  }

  /** Makes room up to this address. */
  reserve(end: number): void {
    if (end > this.memory.length) {
      const bytes = Math.max(end, Math.min(this.memory.length * 2, MAX_KEPT_BYTES))
      this.code.memory.grow(Math.ceil((bytes - this.memory.length) / PAGE))
    }
    if (this.memory.buffer !== this.code.memory.buffer) this.memory = new Uint8Array(this.code.memory.buffer)
  }

  /** Lays input out behind the tables, which end at `from`, and the lists and the output behind it. */
  load(input: Uint8Array, from: number, byte: number, line: number, limit: number, room: number): void {
    this.inputAt = align(from)
    const end = this.inputAt + input.length
    this.lists = align(end + PADDING)
    this.outAt = this.lists + LIST_ROWS * 24
    this.reserve(this.outAt + room)
    this.memory.set(input, this.inputAt)
    this.memory.fill(0, end, end + PADDING)
    this.code.begin(
      this.inputAt,
      byte,
      line,
      Math.min(limit, 0x7fffffff),
      this.lists,
      LIST_ROWS,
      this.outAt,
      this.outAt + room,
    )
  }

  /** Runs over the input until something is up. Full lists go to `give`. */
  run(format: 'csv' | 'json', length: number, give: (part: Part) => void): number {
    const { code } = this
    const end = this.inputAt + length
    for (;;) {
      const status = code[format](end)
      if (status === FULL) {
        const room = 2 * (code.outEnd.value - this.outAt)
        this.reserve(this.outAt + room)
        code.widen(this.outAt + room)
      } else if (status === LISTED) give(this.take())
      else return status
    }
  }

  /** How much of the input is used up. */
  get used(): number {
    return this.code.at.value - this.inputAt
  }

  /** Where the refused record ends in the input. */
  get skipTo(): number {
    return this.code.skipTo.value - this.inputAt
  }

  /** Takes the rows out by copy. */
  take(): Part {
    const { code } = this
    const rows = code.rows.value
    const { buffer } = this.memory
    const bytes = Buffer.allocUnsafeSlow(code.out.value - this.outAt)
    bytes.set(this.memory.subarray(this.outAt, code.out.value))
    const part = {
      bytes,
      at: new Float64Array(buffer, this.lists, rows).slice(),
      lines: new Float64Array(buffer, this.lists + LIST_ROWS * 8, rows).slice(),
      starts: new Int32Array(buffer, this.lists + LIST_ROWS * 16, rows).slice(),
      ends: new Int32Array(buffer, this.lists + LIST_ROWS * 20, rows).slice(),
    }
    code.taken()
    return part
  }
}

function align(address: number): number {
  return (address + 15) & ~15
}

let module: object | undefined
let missing: string | undefined
let engine: Engine | undefined

/** Whether the byte lane can run here, and if not, why. */
export function byteLane(): { readonly available: boolean; readonly reason?: string } {
  if (process.env.INFINO_ETL_BYTE_LANE === 'off')
    return { available: false, reason: 'INFINO_ETL_BYTE_LANE is off' }
  if (module === undefined && missing === undefined) {
    try {
      module = new WebAssembly.Module(readFileSync(wasmFile()))
    } catch (error) {
      missing = messageOf(error)
    }
  }
  return missing === undefined ? { available: true } : { available: false, reason: missing }
}

/** The engine; only where the lane is available. It keeps nothing between two calls of a decoder. */
export function takeEngine(): Engine {
  if (engine !== undefined && engine.memory.length > MAX_KEPT_BYTES) engine = undefined
  engine ??= new Engine(module as object)
  return engine
}

/** Beside this file in the package; a build puts it there for those who run the sources, too. */
function wasmFile(): URL {
  const beside = new URL('./lane.wasm', import.meta.url)
  return existsSync(beside) ? beside : new URL('../../../dist/codecs/wasm/lane.wasm', import.meta.url)
}
