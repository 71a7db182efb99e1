/**
 * Cuts the rows of one lane into frames, by rows, bytes and age, and numbers them. The only place where rows
 * wait. For a body sink the waiting rows exist only as bytes of the next request body.
 */
import { byteSize, originAt, rowAt, size, textAt } from './batch.js'
import type { Batch, BodySink, Clock, Cursor, Encoder, RejectedRow, Sink } from './contracts.js'
import { EtlError, isEtlError, messageOf } from './errors.js'
import { Body, FrameRows } from './frame.js'
import { Turnstile } from './internal/waiting.js'

/** 3.2 MiB, which stays below the 4 MB that Infino takes in one request. */
export const DEFAULT_FRAME_BYTES = 3_355_443
const DEFAULT_ROWS = 1000
const DEFAULT_AGE_MS = 1000

export interface FrameLimits {
  readonly rows: number
  readonly bytes: number
  readonly rowBytes: number
  readonly ageMs: number
}

export function frameLimits<R>(sink: Sink<R>): FrameLimits {
  const bytes = sink.limits?.bytes ?? DEFAULT_FRAME_BYTES
  return {
    rows: sink.limits?.rows ?? (isBodySink(sink) ? Number.MAX_SAFE_INTEGER : DEFAULT_ROWS),
    bytes,
    rowBytes: Math.max(bytes, sink.limits?.rowBytes ?? 0),
    ageMs: sink.limits?.ageMs ?? DEFAULT_AGE_MS,
  }
}

export function isBodySink<R>(sink: Sink<R>): sink is BodySink<R> {
  return 'encoder' in sink
}

/** Bodies that are free to be filled again. */
export class BodyPool {
  private readonly free: Body[] = []
  private readonly bytes: number

  constructor(bytes: number) {
    this.bytes = bytes
  }

  take(): Body {
    return this.free.pop() ?? new Body(this.bytes)
  }

  /** Only for a body that nobody reads any more; one that grew for a single row is let go. */
  give(body: Body): void {
    if (body.bytes.length === this.bytes && this.free.length < 16) this.free.push(body)
  }
}

export interface BatcherOptions<R> {
  readonly partition: string
  readonly limits: FrameLimits
  readonly encoder: Encoder<R> | undefined
  readonly bodies: BodyPool
  readonly clock: Clock
  /** Reading ends when it aborts; rows that wait are left behind. */
  readonly signal: AbortSignal
  /** How long a pending read may take to notice that. */
  readonly graceMs: number
  /** Ordinal of the first row. */
  readonly from: number
  /** Rows below it were dealt with in an earlier run and are dropped. */
  readonly acked: number
  /** Takes a frame, and waits while too many are on their way. */
  readonly emit: (frame: FrameRows<R>) => Promise<void>
  /** A cursor that covers all rows below `ordinal`. */
  readonly mark: (cursor: Cursor, ordinal: number) => void
  /** A row that could not be encoded. Throws when the run is to fail. */
  readonly refuse: (row: RejectedRow & { readonly ordinal: number }) => void
  /** Time spent encoding, in milliseconds. */
  readonly spent: (ms: number) => void
}

/** Runs until the input ends. Resolves when the last frame was taken. */
export async function batchInto<R>(
  input: AsyncIterable<Batch<R>>,
  options: BatcherOptions<R>,
): Promise<void> {
  const filling =
    options.encoder === undefined ? new RowFiller(options) : new BodyFiller(options, options.encoder)
  const iterator = input[Symbol.asyncIterator]()
  const turnstile = new Turnstile(options.signal)
  let pending: Promise<IteratorResult<Batch<R>>> | undefined
  let ordinal = options.from
  const ageing = new Ageing(options, turnstile, () => (filling.waiting > 0 ? filling.frame : undefined))
  try {
    for (;;) {
      pending ??= iterator.next()
      const next = await turnstile.pass(pending)
      if (next === 'poked') {
        await filling.flush()
        continue
      }
      pending = undefined
      if (next.done) break
      const batch = next.value
      const count = size(batch)
      if (count > 0) {
        const skip = Math.min(count, Math.max(0, options.acked - ordinal))
        if (skip < count) await filling.add(batch, skip, count, ordinal)
        ordinal += count
      }
      if (batch.cursor !== undefined) options.mark(batch.cursor, ordinal)
      ageing.watch()
    }
    await filling.flush()
  } catch (error) {
    await stopReading(iterator, pending, options)
    throw error
  } finally {
    ageing.stop()
    turnstile.release()
    filling.release()
  }
}

/** `return()` is never awaited behind a `next()` that may hang. */
async function stopReading<R>(
  iterator: AsyncIterator<Batch<R>>,
  pending: Promise<unknown> | undefined,
  options: BatcherOptions<R>,
): Promise<void> {
  const timer = new AbortController()
  const grace = options.clock.sleep(options.graceMs, timer.signal).then(
    () => 'late' as const,
    () => 'late' as const,
  )
  const settled = pending?.then(
    () => 'settled' as const,
    () => 'settled' as const,
  )
  const late = settled !== undefined && (await Promise.race([settled, grace])) === 'late'
  const returned = Promise.resolve(iterator.return?.()).then(
    () => undefined,
    () => undefined,
  )
  if (!late) await Promise.race([returned, grace])
  timer.abort()
}

/** Pokes when the first row of a frame has waited too long. One sleep at a time, whatever the number of frames. */
class Ageing {
  private readonly stopped = new AbortController()
  private readonly clock: Clock
  private readonly ageMs: number
  private readonly turnstile: Turnstile
  private readonly waitingFrame: () => unknown
  private frame: unknown
  private since = 0
  private sleeping = false

  constructor(
    options: { readonly clock: Clock; readonly limits: FrameLimits },
    turnstile: Turnstile,
    waitingFrame: () => unknown,
  ) {
    this.clock = options.clock
    this.ageMs = options.limits.ageMs
    this.turnstile = turnstile
    this.waitingFrame = waitingFrame
  }

  /** Looks whether another frame began to wait. */
  watch(): void {
    const frame = this.waitingFrame()
    if (frame !== this.frame) {
      this.frame = frame
      this.since = this.clock.now()
    }
    if (frame !== undefined && !this.sleeping) this.sleep()
  }

  stop(): void {
    this.stopped.abort()
  }

  private sleep(): void {
    this.sleeping = true
    const left = Math.max(0, this.since + this.ageMs - this.clock.now())
    this.clock.sleep(left, this.stopped.signal).then(
      () => {
        this.sleeping = false
        const frame = this.waitingFrame()
        if (frame === undefined) return
        if (frame === this.frame && this.clock.now() - this.since >= this.ageMs) this.turnstile.poke()
        else this.watch()
      },
      () => {},
    )
  }
}

/** Collects rows for a sink that takes rows. */
class RowFiller<R> {
  frame: FrameRows<R>
  private readonly options: BatcherOptions<R>

  constructor(options: BatcherOptions<R>) {
    this.options = options
    this.frame = new FrameRows(options.partition)
  }

  get waiting(): number {
    return this.frame.count
  }

  async add(batch: Batch<R>, skip: number, count: number, ordinal: number): Promise<void> {
    const { rows, bytes } = this.options.limits
    const perRow = Math.max(1, byteSize(batch) / count)
    let at = skip
    while (at < count) {
      const byBytes = Math.floor((bytes - this.frame.bytes) / perRow)
      const room = Math.min(rows - this.waiting, this.waiting === 0 ? Math.max(1, byBytes) : byBytes)
      if (room <= 0) {
        await this.flush()
        continue
      }
      const end = Math.min(count, at + room)
      this.frame.addRows(batch, at, end, ordinal + at)
      at = end
    }
    if (this.waiting >= rows || this.frame.bytes >= bytes) await this.flush()
  }

  async flush(): Promise<void> {
    if (this.waiting === 0) return
    const frame = this.frame
    this.frame = new FrameRows(this.options.partition)
    await this.options.emit(frame)
  }

  release(): void {}
}

/** Lets the encoder write rows straight into the next body. */
class BodyFiller<R> {
  frame: FrameRows<R>
  private readonly options: BatcherOptions<R>
  private readonly encoder: Encoder<R>
  private body: Body
  private at = 0

  constructor(options: BatcherOptions<R>, encoder: Encoder<R>) {
    this.options = options
    this.encoder = encoder
    this.body = options.bodies.take()
    this.frame = new FrameRows(options.partition, this.body)
  }

  get waiting(): number {
    return this.frame.count
  }

  async add(batch: Batch<R>, skip: number, count: number, ordinal: number): Promise<void> {
    let started = performance.now()
    let index = skip
    while (index < count) {
      index = this.fill(batch, index, count, ordinal)
      if (index < count || this.waiting >= this.options.limits.rows) {
        this.options.spent(performance.now() - started)
        await this.flush()
        started = performance.now()
      }
    }
    this.options.spent(performance.now() - started)
  }

  /** Puts rows until one does not fit; returns the index of the first that was not dealt with. */
  private fill(batch: Batch<R>, start: number, count: number, ordinal: number): number {
    const { encoder, frame } = this
    const { rows: room, bytes } = this.options.limits
    for (let index = start; index < count; index++) {
      const { at } = this
      if (frame.count >= room || at >= bytes) return index
      let end: number
      try {
        end = encoder.put(batch, index, ordinal + index, this.body.bytes, at)
        while (end < 0 && at === 0) {
          this.grow()
          end = encoder.put(batch, index, ordinal + index, this.body.bytes, 0)
        }
        if (end < 0) return index
        if (encoder.key !== undefined) {
          const key = encoder.key(batch, index)
          if (key !== undefined) frame.keys.push(key)
        }
      } catch (error) {
        this.refuse(batch, index, ordinal + index, error)
        continue
      }
      const rowStart = encoder.rowStart === undefined ? at : encoder.rowStart()
      frame.addRecord(batch.origin, index, ordinal + index, rowStart, end)
      this.at = end
    }
    return count
  }

  private grow(): void {
    const { rowBytes } = this.options.limits
    const { bytes } = this.body
    if (bytes.length >= rowBytes) {
      throw new EtlError(
        'ETL_ROW_TOO_LARGE',
        `the row needs more than ${rowBytes} bytes, the most that one request may hold`,
      )
    }
    this.body.bytes = Buffer.allocUnsafeSlow(Math.min(rowBytes, bytes.length * 2))
  }

  private refuse(batch: Batch<R>, index: number, ordinal: number, error: unknown): void {
    this.options.refuse({
      row: safeRow(batch, index),
      code: isEtlError(error) ? error.code : 'ETL_ROW_UNSERIALISABLE',
      reason: messageOf(error),
      position: originAt(batch, index),
      partition: this.options.partition,
      ordinal,
    })
  }

  async flush(): Promise<void> {
    if (this.waiting === 0) return
    const frame = this.frame
    this.body = this.options.bodies.take()
    this.at = 0
    this.frame = new FrameRows(this.options.partition, this.body)
    await this.options.emit(frame)
  }

  release(): void {
    if (this.waiting === 0) this.options.bodies.give(this.body)
  }
}

function safeRow(batch: Batch<unknown>, index: number): unknown {
  try {
    return rowAt(batch, index)
  } catch {
    return textAt(batch, index)
  }
}
