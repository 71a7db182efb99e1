/**
 * Brings frames to the sink: so many at once, each until every row of it is settled. Retries resend only the
 * rows that were refused for now; a body refused whole is halved down to the rows at fault.
 */
import type { Logger, RejectedRow, RowFailure, Sink } from './contracts.js'
import { abortError, EtlError, toEtlError } from './errors.js'
import { Cut, type FrameRows } from './frame.js'
import { Gate } from './internal/waiting.js'
import { Backoff, type RetryPolicy, type RetryWorld } from './retry.js'

/** Halvings of one frame, beyond which the refusal is not the fault of single rows. */
const MAX_SPLITS = 256

export interface DeliveryOptions<R> {
  readonly sink: Sink<R>
  readonly policy: RetryPolicy
  readonly world: RetryWorld
  readonly concurrency: number
  readonly log: Logger
  /** Cuts off writes and waits. */
  readonly signal: AbortSignal
  /** Row `index` of the frame is written. */
  readonly written: (frame: FrameRows<R>, index: number) => void
  /** The same for all rows of it at once. */
  readonly allWritten: (frame: FrameRows<R>) => void
  /** Row `index` of the frame is rejected for good. Throws when the run is to fail. */
  readonly rejected: (frame: FrameRows<R>, index: number, row: RejectedRow) => void
  /** A frame is settled; its body may be used again when `clean`. */
  readonly settled: (frame: FrameRows<R>, clean: boolean) => void
  readonly failed: (error: unknown) => void
}

export class Delivery<R> {
  /** Writes that were tried again. */
  retries = 0
  /** Calls of the sink's `write`, and the time they took together. */
  writes = 0
  writeMs = 0
  private readonly options: DeliveryOptions<R>
  private readonly inFlight = new Set<FrameRows<R>>()
  private readonly keys = new Set<string>()
  private readonly gate = new Gate()
  private paused = false

  constructor(options: DeliveryOptions<R>) {
    this.options = options
    options.signal.addEventListener('abort', () => this.gate.wake(), { once: true })
  }

  /** Takes the frame as soon as there is room; `stop` ends the wait. `taken` runs just before the write starts. */
  async submit(frame: FrameRows<R>, stop: AbortSignal, taken: () => void): Promise<void> {
    const wake = () => this.gate.wake()
    stop.addEventListener('abort', wake, { once: true })
    try {
      while (!stop.aborted && this.mustWait(frame)) await this.gate.wait()
    } finally {
      stop.removeEventListener('abort', wake)
    }
    if (stop.aborted) throw abortError(stop)
    taken()
    this.inFlight.add(frame)
    for (const key of frame.keys) this.keys.add(key)
    this.deliver(frame)
      .then((clean) => {
        this.leave(frame)
        this.options.settled(frame, clean)
      })
      .catch((error) => {
        this.leave(frame)
        this.options.failed(error)
      })
      .finally(() => this.gate.wake())
  }

  /** Resolves when nothing is in flight. */
  async idle(): Promise<void> {
    while (this.inFlight.size > 0) await this.gate.wait()
  }

  /** No new writes until `resume`; resolves when those in flight have settled. */
  async pause(): Promise<void> {
    this.paused = true
    await this.idle()
  }

  resume(): void {
    this.paused = false
    this.gate.wake()
  }

  get busy(): number {
    return this.inFlight.size
  }

  private mustWait(frame: FrameRows<R>): boolean {
    if (this.paused || this.inFlight.size >= this.options.concurrency) return true
    return this.keys.size > 0 && frame.keys.some((key) => this.keys.has(key))
  }

  private leave(frame: FrameRows<R>): void {
    this.inFlight.delete(frame)
    for (const key of frame.keys) this.keys.delete(key)
  }

  /** Whether all went without a failed write, after which somebody may still be reading the body. */
  private async deliver(frame: FrameRows<R>): Promise<boolean> {
    const state = { splits: 0, clean: true }
    await this.send(frame, new Cut(frame), state)
    return state.clean
  }

  private async send(
    frame: FrameRows<R>,
    cut: Cut<R>,
    state: { splits: number; clean: boolean },
  ): Promise<void> {
    const { sink, signal, log, policy, world } = this.options
    const backoff = new Backoff(policy, world)
    let rest = cut
    for (;;) {
      const started = performance.now()
      try {
        this.writes++
        const result = await sink.write(rest, { signal, log, attempt: backoff.attempt })
        const failures = result?.failures ?? []
        if (failures.length === 0 && rest.count === frame.count) {
          this.options.allWritten(frame)
          this.writeMs += performance.now() - started
          return
        }
        const again = this.apply(frame, rest, failures)
        if (again.rows.length === 0) return
        if (again.progress) backoff.progress()
        rest = rest.pick(again.rows)
        throw again.error
      } catch (thrown) {
        this.writeMs += performance.now() - started
        const error = toEtlError(thrown, 'ETL_SINK_WRITE', `writing to ${sink.name}`)
        if (error.verdict === 'split') {
          state.clean = false
          await this.halve(frame, rest, state, error)
          return
        }
        if (!(thrown instanceof RefusedForNow)) state.clean = false
        await backoff.wait(error, signal)
        this.retries++
        log.debug(`${sink.name}: trying ${rest.count} rows again: ${error.message}`)
      } finally {
        if (signal.aborted) state.clean = false
      }
    }
  }

  private async halve(
    frame: FrameRows<R>,
    cut: Cut<R>,
    state: { splits: number; clean: boolean },
    error: EtlError,
  ): Promise<void> {
    if (cut.count === 1) {
      this.reject(frame, cut, 0, error.code, error.message)
      return
    }
    if (++state.splits > MAX_SPLITS) {
      throw new EtlError(
        'ETL_SINK_REFUSES',
        `${this.options.sink.name} refused ${MAX_SPLITS} parts of one frame, so single rows are not the cause; the last answer: ${error.message}`,
        { cause: error, context: error.context },
      )
    }
    const middle = cut.count >> 1
    const indexes = Array.from({ length: cut.count }, (_, i) => i)
    await this.send(frame, cut.pick(indexes.slice(0, middle)), state)
    await this.send(frame, cut.pick(indexes.slice(middle)), state)
  }

  /** Settles what the answer settles; returns the rows to send again. */
  private apply(
    frame: FrameRows<R>,
    cut: Cut<R>,
    failures: readonly RowFailure[],
  ): { rows: readonly number[]; progress: boolean; error: RefusedForNow } {
    const failed = new Map<number, RowFailure>()
    for (const failure of failures) {
      if (!Number.isInteger(failure.index) || failure.index < 0 || failure.index >= cut.count) {
        throw new EtlError(
          'ETL_SINK_ANSWER',
          `${this.options.sink.name} answered for row ${failure.index} of a frame of ${cut.count}`,
        )
      }
      failed.set(failure.index, failure)
    }
    const again = this.againWithLaterVersions(cut, failed)
    const resend = new Set(again)
    let first: RowFailure | undefined
    for (let index = 0; index < cut.count; index++) {
      const failure = failed.get(index)
      if (failure?.verdict === 'again') first ??= failure
      else if (failure === undefined && !resend.has(index)) this.options.written(frame, cut.rootIndex(index))
    }
    for (const [index, failure] of failed) {
      if (failure.verdict === 'never') this.reject(frame, cut, index, failure.code, failure.reason)
    }
    const reason = `${again.length} rows refused for now, the first with: ${first?.reason}`
    return {
      rows: again,
      progress: again.length < cut.count,
      error: new RefusedForNow(first?.code ?? 'ETL_SINK_REFUSED', reason),
    }
  }

  /**
   * The rows refused for now and every later row of the same key, so that an older version never overwrites a
   * newer one.
   */
  private againWithLaterVersions(cut: Cut<R>, failed: ReadonlyMap<number, RowFailure>): number[] {
    const keys = cut.root.keys
    const keyed = keys.length === cut.root.count && keys.length > 0
    const touched = new Set<string>()
    const again: number[] = []
    for (let index = 0; index < cut.count; index++) {
      const verdict = failed.get(index)?.verdict
      const key = keyed ? (keys[cut.rootIndex(index)] as string) : undefined
      if (verdict === 'again' || (verdict === undefined && key !== undefined && touched.has(key))) {
        again.push(index)
        if (key !== undefined) touched.add(key)
      }
    }
    return again
  }

  private reject(frame: FrameRows<R>, cut: Cut<R>, index: number, code: string, reason: string): void {
    this.options.rejected(frame, cut.rootIndex(index), {
      row: cut.rowAt(index),
      code,
      reason,
      position: cut.positionAt(index),
      by: this.options.sink.name,
      partition: frame.partition,
      ordinal: cut.ordinalAt(index),
    })
  }
}

/** The request went well; some rows did not. */
class RefusedForNow extends EtlError {
  constructor(code: string, reason: string) {
    super(code, reason, { verdict: 'again' })
  }
}
