/**
 * The contracts of the library. This file imports nothing.
 *
 * Glossary, in the order of the flow:
 * - row: one plain object.
 * - batch: an array of rows with the cursor that covers it; the only unit that travels.
 * - source, transform, sink: where rows come from, what changes them, where they go.
 * - cursor: a source's own position, plain JSON, opaque to everyone else.
 * - origin: which place of the source each row of a batch came from.
 * - partition: an independent part of a source; all partitions together are the whole.
 * - ordinal: a row's number among the rows that left the last transform of its partition.
 * - frame: what the batcher cut for one write: rows, or a request body, with their ordinals.
 * - rejected row: a row that was refused, with reason and position.
 * - checkpoint: a saved cursor with the ledger so far.
 * - ledger: the counts at each border of a run, which must balance.
 *
 * Functions are written as properties, not methods: method syntax is checked bivariantly and would accept
 * a sink that needs a field which the rows do not have.
 */

/** What JSON can hold. Everything saved in a checkpoint is of this type. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json | undefined }

/** A source's own position. Plain JSON; only the source that made it looks inside. */
export type Cursor = Json

/** A row whose columns are not known to the compiler. */
export type Row = Record<string, unknown>

/** Where one row comes from. Counts start at 1 for `row` and `line`, at 0 for `byte`. */
export interface Position {
  /** The file, URL or other name the row was read from. */
  readonly file?: string
  /** 1 for the first row of the file; a CSV header is no row. */
  readonly row?: number
  /** Line on which the row starts, counted from 1. */
  readonly line?: number
  /** Offset of the row's first byte; decoded bytes for a compressed or UTF-16 file. */
  readonly byte?: number
  /** Page of a paged source, counted from 1. */
  readonly page?: number
}

/**
 * Where the rows of a batch come from: the place of the first row, and per row how far it is from there.
 * Read it with `originAt` of `batch.ts`.
 */
export interface Origin extends Position {
  /** For each row of the batch its distance in rows from `row`; absent where row i is `row + i`. */
  readonly rows?: ArrayLike<number>
  /** For each row its line; absent where unknown. */
  readonly lines?: ArrayLike<number>
  /** For each row its first byte; absent where unknown. */
  readonly bytes?: ArrayLike<number>
}

/**
 * Rows as JSON text: row `i` is the bytes from `starts[i]` up to `ends[i]`, without a line break inside.
 * Only `batch.ts` looks at this form.
 */
export interface JsonLines {
  readonly bytes: Uint8Array
  readonly starts: ArrayLike<number>
  readonly ends: ArrayLike<number>
  readonly count: number
}

/**
 * The only unit that travels. Rows handed over belong to the receiver, which never changes a row.
 * A batch is never empty unless it carries a cursor (the position moved, everything was filtered out).
 * The cursor covers all rows up to and including this batch; splitting gives it to the last part only.
 */
export interface Batch<R = Row> {
  /** Throws `ETL_BATCH_UNPARSED` where the batch holds JSON text only; no stage ever meets such a batch. */
  readonly rows: readonly R[]
  readonly cursor?: Cursor | undefined
  readonly origin?: Origin | undefined
  /** The rows as JSON text, where a source or a codec has it. Use `batch.ts` instead of reading it. */
  readonly text?: JsonLines | undefined
}

/** May the same thing be tried again: not at all, as it is, or cut in halves. */
export type Verdict = 'never' | 'again' | 'split'

/** A row that was refused. */
export interface RejectedRow {
  /** The row as far as it could be read: an object, or its raw text. */
  readonly row: unknown
  readonly code: string
  /** One sentence: what was expected and what came. */
  readonly reason: string
  readonly position?: Position | undefined
  /** What refused it: the name of a source, transform or sink. Filled in by the engine. */
  readonly by?: string | undefined
  /** The partition it belongs to. Filled in by the engine. */
  readonly partition?: string | undefined
  /** Its ordinal, for a row that had already left the last transform. */
  readonly ordinal?: number | undefined
}

/** Where messages go. Nothing is written unless the user gives one. */
export interface Logger {
  readonly debug: (message: string, fields?: Readonly<Record<string, unknown>>) => void
  readonly info: (message: string, fields?: Readonly<Record<string, unknown>>) => void
  readonly warn: (message: string, fields?: Readonly<Record<string, unknown>>) => void
}

/** Time, so that tests need none. */
export interface Clock {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>
}

/** What every stage is given. All members are optional, so that Node's `pipeline()` accepts our stages. */
export interface RunContext {
  readonly signal?: AbortSignal | undefined
  readonly log?: Logger | undefined
  /**
   * Hands over a row that cannot go on. It throws when the run's policy is to fail; absent means throw
   * yourself. Call it in row order: after the batch whose cursor does not cover the row was yielded, and
   * before the one whose cursor does.
   */
  readonly reject?: ((row: RejectedRow) => void) | undefined
}

/** What a source is asked for. */
export interface ReadRequest extends RunContext {
  /** Start after this cursor, which the same source made earlier. */
  readonly from?: Cursor | undefined
  /** Give at most so many rows; a hint that saves work, the engine cuts exactly. */
  readonly limit?: number | undefined
  /** Read this partition only. */
  readonly partition?: Partition | undefined
  /** `'any'`: batches may hold JSON text instead of rows, whatever is cheapest. Default `'rows'`. */
  readonly form?: 'rows' | 'any' | undefined
  /**
   * Declares how many rows this read (from its very beginning, not from `from`) has in all: given on plus
   * rejected. The engine compares at the end. The last call counts.
   */
  readonly expect?: ((rows: number) => void) | undefined
  /** Declares that this read stops before its end, and why: `'pages'`, `'bytes'`. */
  readonly truncated?: ((reason: string) => void) | undefined
  /** Tells how far the read is, for a progress line. */
  readonly progress?: ((bytes: number, ofBytes?: number) => void) | undefined
}

/** An independent part of a source. Serialisable, and stored in the checkpoint. */
export interface Partition {
  /** Unique within the source; characters `A-Z a-z 0-9 - _ ~` only, since it becomes part of row ids. */
  readonly id: string
  /** What the source needs to read just this part. */
  readonly data?: Json | undefined
}

/** Column types of a schema. */
export type ColumnType =
  | 'string'
  | 'bigint'
  | 'double'
  | 'boolean'
  | 'date'
  | 'timestamp'
  | 'bytes'
  | 'object'
  | 'array'

export interface Column {
  readonly name: string
  readonly type: ColumnType
  readonly nullable?: boolean
}

export interface Schema {
  readonly columns: readonly Column[]
}

/** Where rows come from. The factory opens nothing; resources are opened, and released, inside the iteration. */
export interface Source<R = Row> {
  readonly name: string
  readonly read: (request: ReadRequest) => AsyncIterable<Batch<R>>
  readonly schema?: (request: ReadRequest) => Promise<Schema | undefined>
  /** Absent means one partition. */
  readonly partitions?: (request: ReadRequest) => Promise<readonly Partition[]>
  /** Identifies what is read, without secrets; a checkpoint made for another one is refused. */
  readonly fingerprint?: string
}

/**
 * A function from batches to batches that may carry facts about itself. Without facts it is taken to want
 * rows, to have memory, and to change the count.
 */
export interface Transform<I = Row, O = Row> {
  (input: AsyncIterable<Batch<I>>, context?: RunContext): AsyncIterable<Batch<O>>
  /** `'any'`: never looks inside a row. */
  readonly wants?: 'rows' | 'any'
  /** Depends on earlier rows: take, skip, dedupe, window. */
  readonly memory?: boolean
  /** Rows out against rows in: the same, at most as many, or anything. Rejected rows are counted apart. */
  readonly count?: 'same' | 'fewer' | 'any'
  /** Shown in the ledger; default the function's name. */
  readonly label?: string
}

/** How much goes into one write, and how many writes run at once. */
export interface SinkLimits {
  /** Rows in one frame. Default 1000 for a row sink, none for a body sink. */
  readonly rows?: number | undefined
  /** Bytes in one frame: exact for a body sink, an estimate for a row sink. Default 3,355,443 (3.2 MiB). */
  readonly bytes?: number | undefined
  /** Bytes of one row sent alone; a larger one is rejected. Default `bytes`. */
  readonly rowBytes?: number | undefined
  /** Writes in flight. Default 1. */
  readonly concurrency?: number | undefined
  /** A frame is cut when its first row has waited so long. Default 1000 ms. */
  readonly ageMs?: number | undefined
}

/** Why one row of a frame was not written. Its index is within the frame that was given to `write`. */
export interface RowFailure {
  readonly index: number
  /** `'again'`: refused for now. `'never'`: rejected. */
  readonly verdict: 'never' | 'again'
  readonly code: string
  readonly reason: string
}

/** Rows not listed were written. */
export interface WriteResult {
  readonly failures?: readonly RowFailure[] | undefined
}

export interface WriteContext extends RunContext {
  /** 1 for the first try of these rows. */
  readonly attempt: number
}

/** What a sink is opened with. */
export interface OpenContext extends RunContext {
  readonly runId: string
  /** What `flush` returned for the checkpoint that is resumed; absent on a fresh start. */
  readonly saved?: Json | undefined
  /** The run resumes a checkpoint. */
  readonly resumed: boolean
  /** The run keeps a checkpoint. */
  readonly checkpointed: boolean
}

/** Members shared by both kinds of frame. */
export interface Frame {
  readonly partition: string
  readonly count: number
  readonly ordinalAt: (index: number) => number
  readonly positionAt: (index: number) => Position | undefined
}

/** Rows cut for one write. */
export interface RowFrame<R = Row> extends Frame {
  /** Throws `ETL_BATCH_UNPARSED` for a sink that said it wants `'any'` form. */
  readonly rows: readonly R[]
}

/** A request body cut for one write. It belongs to `write` until that settles. */
export interface BodyFrame extends Frame {
  readonly body: Uint8Array
  /** End of row `index` in the body. */
  readonly endAt: (index: number) => number
}

/** Identity that an encoder may build ids from. */
export interface Lane {
  readonly runId: string
  readonly partition: string
}

/** Writes rows into a request body. One encoder per partition; used by the batcher only. */
export interface Encoder<R = Row> {
  /**
   * Writes row `index` of the batch at `at`, and returns the new end; -1 when there is no room (nothing after
   * `at` counts then). A throw rejects the row.
   */
  readonly put: (batch: Batch<R>, index: number, ordinal: number, into: Uint8Array, at: number) => number
  /** Where the row itself started in the last successful `put`, for dead letters; default its `at`. */
  readonly rowStart?: () => number
  /** The user's key of the row, where newer versions must win; absent where ids are unique by themselves. */
  readonly key?: (batch: Batch<R>, index: number) => string | undefined
}

interface SinkBase {
  readonly name: string
  readonly limits?: SinkLimits | undefined
  /** `'any'`: takes JSON text nobody has parsed. `'parsed'`: text is welcome, after a check by parsing. Default `'rows'`. */
  readonly wants?: 'rows' | 'parsed' | 'any' | undefined
  /** `'once'`: a resumed run or a retry leaves each row in effect once. Default `'at-least-once'`. */
  readonly delivery?: 'once' | 'at-least-once' | undefined
  /** Why a checkpoint cannot be kept with this sink; such a run is refused before it starts. */
  readonly notResumable?: string | undefined
  /** Identifies where rows go, without secrets. */
  readonly fingerprint?: string | undefined
  /** Called once before the first write. */
  readonly open?: ((context: OpenContext) => Promise<void>) | undefined
  /**
   * Present when `write` means accepted rather than durable. Makes everything accepted durable and returns the
   * state that `open` gets back on resume. Succeeds or throws. With it, a `write` that throws `'again'` must have
   * taken no row of the frame.
   */
  readonly flush?: ((context: RunContext) => Promise<Json | undefined>) | undefined
  /** Called once after the last write, also after a failure (`ok` false), and after the signal fired. */
  readonly close?: ((ok: boolean) => Promise<void>) | undefined
}

/** A sink that takes rows. */
export interface RowSink<R = Row> extends SinkBase {
  readonly write: (frame: RowFrame<R>, context: WriteContext) => Promise<WriteResult | undefined>
}

/** A sink that takes request bodies which its encoder filled. */
export interface BodySink<R = Row> extends SinkBase {
  readonly encoder: (lane: Lane) => Encoder<R>
  readonly write: (frame: BodyFrame, context: WriteContext) => Promise<WriteResult | undefined>
}

/** Where rows go. `write` resolves when the rows are safe at the other end, unless the sink has `flush`. */
export type Sink<R = Row> = RowSink<R> | BodySink<R>
