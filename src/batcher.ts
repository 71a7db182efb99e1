/**
 * Cuts the rows of one lane into frames, by rows, bytes and age, and numbers them. The only place where rows
 * wait. For a body sink the waiting rows exist only as bytes of the next request body.
 */
import { size } from './batch.js'
import type { Batch, BodySink, Clock, Cursor, Encoder, Sink } from './contracts.js'
import { BodyFiller, type FillingOptions, type FrameLimits, RowFiller } from './filling.js'
import { Turnstile } from './internal/waiting.js'

/** 3.2 MiB, which stays below the 4 MB that Infino takes in one request. */
export const DEFAULT_FRAME_BYTES = 3_355_443
const DEFAULT_ROWS = 1000
const DEFAULT_AGE_MS = 1000

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

export interface BatcherOptions<R> extends FillingOptions<R> {
  readonly encoder: Encoder<R> | undefined
  readonly clock: Clock
  /** Reading ends when it aborts; rows that wait are left behind. */
  readonly signal: AbortSignal
  /** How long a pending read may take to notice that. */
  readonly graceMs: number
  /** Ordinal of the first row. */
  readonly from: number
  /** Rows below it were dealt with in an earlier run and are dropped. */
  readonly acked: number
  /** A cursor that covers all rows below `ordinal`. */
  readonly mark: (cursor: Cursor, ordinal: number) => void
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
