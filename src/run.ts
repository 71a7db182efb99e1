/** The one loop: opens the ends, runs the lanes, saves positions, shuts down, and reports. */
import { setMaxListeners } from 'node:events'
import { batchInto, frameLimits, isBodySink } from './batcher.js'
import { type CheckpointStore, fileCheckpoint } from './checkpoint.js'
import type { Clock, Logger, Partition, Sink } from './contracts.js'
import { Delivery } from './delivery.js'
import { abortError, EtlError, toEtlError } from './errors.js'
import { BodyPool } from './filling.js'
import type { FrameRows } from './frame.js'
import { systemClock } from './internal/clock.js'
import { wholeNumber } from './internal/options.js'
import { anySignal } from './internal/waiting.js'
import { type Chain, Lane } from './lane.js'
import { type Ledger, makeLedger, type StageFacts } from './ledger.js'
import { type ActiveLane, Positions } from './positions.js'
import { Rejections } from './rejections.js'
import { attachReport, makeReport, type RunReport } from './report.js'
import { retryPolicy } from './retry.js'
import type { RunOptions } from './run-options.js'
import { Saver } from './saver.js'

const SILENT: Logger = { debug: () => {}, info: () => {}, warn: () => {} }

/** Runs to the end. Rejects with an `EtlError` that carries its report, see `reportOf`. */
export async function execute(chain: Chain, sink: Sink<unknown>, options: RunOptions): Promise<RunReport> {
  return new Run(chain, sink, options).start()
}

class Run {
  private readonly chain: Chain
  private readonly sink: Sink<unknown>
  private readonly options: RunOptions
  private readonly clock: Clock
  private readonly graceMs: number
  private readonly settleMs: number
  private readonly parallel: number
  private readonly limit: number
  private readonly log: Logger
  private readonly warnings: string[] = []
  private readonly stages: readonly StageFacts[]
  private readonly needsRows: boolean
  private readonly hasMemory: boolean
  private readonly store: CheckpointStore | undefined
  private readonly positions: Positions
  private readonly rejections: Rejections
  private readonly delivery: Delivery<unknown>
  private readonly saver: Saver
  private readonly bodies: BodyPool
  /** Stopping has two steps: reading ends; after a grace, writes are cut off. */
  private readonly reading = new AbortController()
  private readonly writing = new AbortController()
  private readonly bytesOf = new Map<string, readonly [number, number | undefined]>()
  private readonly startedAt = performance.now()
  private failure: unknown
  private sinkOpen = false
  private readBefore = 0
  private encodeMs = 0

  constructor(chain: Chain, sink: Sink<unknown>, options: RunOptions) {
    this.chain = chain
    this.sink = sink
    this.options = options
    this.clock = options.clock ?? systemClock
    this.graceMs = wholeNumber('graceMs', options.graceMs, 5000, 0)
    this.settleMs = wholeNumber('settleMs', options.settleMs, this.graceMs, 0)
    this.limit = wholeNumber('limit', options.limit, undefined, 0) ?? Number.POSITIVE_INFINITY
    this.parallel = options.limit === undefined ? wholeNumber('parallel', options.parallel, 4) : 1
    this.log = withWarnings(options.log ?? SILENT, this.warnings)
    this.stages = chain.transforms.map((stage, k) => ({
      name: chain.names[k + 1]!,
      count: stage.count ?? 'any',
    }))
    this.hasMemory = chain.transforms.some((transform) => transform.memory ?? true)
    this.needsRows = sink.wants !== 'any' || chain.transforms.some((transform) => transform.wants !== 'any')
    this.store =
      typeof options.checkpoint === 'string' ? fileCheckpoint(options.checkpoint) : options.checkpoint
    const identity = {
      source: chain.source.fingerprint ?? chain.source.name,
      stages: chain.names.slice(1),
      sink: sink.fingerprint ?? sink.name,
    }
    this.positions = new Positions(this.store, identity, options.runId)
    this.bodies = new BodyPool(frameLimits(sink).bytes)
    // One listener per waiting stage is no leak.
    setMaxListeners(0, this.reading.signal, this.writing.signal)
    const shared = {
      policy: retryPolicy(options.retry),
      world: { clock: this.clock, random: options.random },
      log: this.log,
      signal: this.writing.signal,
    }
    this.rejections = new Rejections({ ...shared, onError: options.onError ?? 'fail', clock: this.clock })
    this.delivery = new Delivery<unknown>({
      ...shared,
      sink,
      concurrency: wholeNumber('limits.concurrency', sink.limits?.concurrency, 1),
      written: (frame, index) => this.lane(frame).tracker.settle(frame, index, 'written'),
      allWritten: (frame) => this.lane(frame).tracker.settleAll(frame),
      rejected: (frame, index, row) => {
        const { tracker } = this.lane(frame)
        this.addRejected(() => this.rejections.add(row), tracker)
        tracker.settle(frame, index, 'rejected')
      },
      settled: (frame, clean) => this.settled(frame, clean),
      failed: (error) => this.fail(error),
    })
    this.saver = new Saver({
      sink,
      positions: this.positions,
      delivery: this.delivery,
      rejections: this.rejections,
      clock: this.clock,
      everyMs: wholeNumber('checkpointEveryMs', options.checkpointEveryMs, 1000, 0),
      enabled: this.store !== undefined,
      log: this.log,
      signal: this.writing.signal,
      failed: (error) => this.fail(error),
      hasFailed: () => this.failure !== undefined,
    })
  }

  async start(): Promise<RunReport> {
    const { signal } = this.options
    if (signal?.aborted) throw abortError(signal)
    const stop = () => this.fail(abortError(signal as AbortSignal))
    signal?.addEventListener('abort', stop, { once: true })
    let locked = false
    try {
      if (this.store !== undefined && this.sink.notResumable !== undefined) {
        throw new EtlError(
          'ETL_SINK_NOT_RESUMABLE',
          `${this.sink.name} keeps no checkpoint: ${this.sink.notResumable}`,
        )
      }
      await this.store?.lock?.()
      locked = true
      const saved = await this.positions.load()
      this.readBefore = this.positions.readRows()
      if (saved?.finished !== true) {
        await this.open()
        await this.readLanes()
        await this.finish()
      }
      return this.report('complete')
    } catch (error) {
      this.fail(error)
      await this.shutDown()
      const failed = toEtlError(this.failure, 'ETL_RUN_FAILED', 'the run failed')
      attachReport(failed, this.report(failed.code === 'ETL_ABORTED' ? 'stopped' : 'failed'))
      throw failed
    } finally {
      signal?.removeEventListener('abort', stop)
      if (locked) await this.store?.unlock?.()
    }
  }

  private async open(): Promise<void> {
    const { positions, log } = this
    const { source } = this.chain
    if (!positions.resumed) {
      const request = { signal: this.reading.signal, log, limit: this.options.limit }
      positions.setPartitions(source.name, (await source.partitions?.(request)) ?? [])
    }
    await this.rejections.open(positions.runId, positions.resumed)
    this.sinkOpen = true
    await this.sink.open?.({
      runId: positions.runId,
      resumed: positions.resumed,
      saved: positions.sinkState,
      checkpointed: this.store !== undefined,
      signal: this.reading.signal,
      log,
    })
    await this.saver.start()
  }

  /** Reads the lanes, several at once where they are independent. */
  private async readLanes(): Promise<void> {
    const parts = this.positions.partitions
    const whole: readonly (Partition | undefined)[] = parts.length === 0 ? [undefined] : parts
    const lanes = this.hasMemory
      ? [{ id: 'all', partitions: whole }]
      : whole.map((partition) => ({ id: partition?.id ?? '0', partitions: [partition] }))
    const queue = lanes.values()
    const work = async () => {
      for (const { id, partitions } of queue) {
        if (this.reading.signal.aborted) return
        if (!this.positions.stateOf(id).done) await this.readLane(id, partitions)
      }
    }
    const workers = Array.from({ length: Math.min(this.parallel, lanes.length) }, work)
    await Promise.all(workers.map((worker) => worker.catch((error) => this.fail(error))))
    if (this.failure !== undefined) throw this.failure
  }

  private async readLane(id: string, partitions: readonly (Partition | undefined)[]): Promise<void> {
    const { signal } = this.reading
    const { positions, rejections, sink } = this
    const saved = positions.stateOf(id)
    const lane = new Lane({
      chain: this.chain,
      id,
      partitions,
      saved,
      keepCursors: !this.hasMemory,
      needsRows: this.needsRows,
      log: this.log,
      signal,
      remaining: () =>
        this.limit === Number.POSITIVE_INFINITY ? this.limit : this.limit - positions.readRows(),
      reject: (row) => rejections.add(row),
      progress: (bytes, ofBytes) => {
        this.bytesOf.set(id, [bytes, ofBytes])
        this.tell()
      },
    })
    const tracker = positions.follow(lane)
    await batchInto(lane.batches(), {
      partition: id,
      limits: frameLimits(sink),
      encoder: isBodySink(sink) ? sink.encoder({ runId: positions.runId, partition: id }) : undefined,
      bodies: this.bodies,
      clock: this.clock,
      signal,
      graceMs: this.graceMs,
      from: saved.at,
      acked: saved.acked,
      emit: async (frame) => {
        await rejections.drain()
        await this.delivery.submit(frame, signal, () => tracker.take(frame))
      },
      mark: (sequence, ordinal) => {
        const mark = lane.markOf(sequence)
        if (mark !== undefined) tracker.mark(mark.cursor, ordinal, mark.counts)
      },
      refuse: (row) => {
        this.addRejected(() => rejections.add({ ...row, by: sink.name }), tracker)
        tracker.refuse(row.ordinal)
      },
      spent: (ms) => {
        this.encodeMs += ms
      },
    })
    tracker.finish(lane.ended && !lane.limited ? lane.expected : undefined, lane.finalCounts())
  }

  private async finish(): Promise<void> {
    await this.unlessStopped(this.delivery.idle())
    await this.unlessStopped(this.saver.idle())
    await this.unlessStopped(this.saver.saveLast())
    this.mustBalance(this.ledger(true))
    await this.close(true)
    await this.positions.save(true)
  }

  /** Nothing is read any more, but what is in flight may never be answered. */
  private unlessStopped(work: Promise<void>): Promise<void> {
    const { signal } = this.reading
    return new Promise((resolve, reject) => {
      const stop = () => reject(this.failure)
      if (signal.aborted) stop()
      signal.addEventListener('abort', stop, { once: true })
      work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
    })
  }

  private mustBalance(ledger: Ledger): void {
    const { source } = ledger
    if (ledger.incomplete.length > 0) {
      const problem = `${ledger.incomplete.join('; ')}: rows are missing or came twice`
      if (this.options.onIncomplete !== 'warn') {
        throw new EtlError('ETL_SOURCE_INCOMPLETE', problem, {
          context: { expected: source.expected, read: source.read },
        })
      }
      this.log.warn(problem)
    }
    if (!ledger.balanced) {
      throw new EtlError(
        'ETL_LEDGER_UNBALANCED',
        `the ledger does not balance: ${ledger.problems.join('; ')}`,
      )
    }
  }

  /** After a failure: what is in flight may settle, what is safe is saved, everything is closed. */
  private async shutDown(): Promise<void> {
    await this.within(this.delivery.idle())
    // While their sink may still take them: the aborted signal would refuse them, and the position with them.
    await this.within(this.rejections.flush())
    this.writing.abort(this.failure)
    await this.within(this.delivery.idle())
    await this.within(this.saver.idle())
    await this.saver
      .saveWhatIsSafe()
      .catch((error) => this.log.warn(`the position was not saved: ${error.message}`))
    await this.close(false).catch((error) => this.log.warn(`closing: ${error.message}`))
  }

  private async within(work: Promise<unknown>): Promise<void> {
    const timer = new AbortController()
    const late = this.patience(timer.signal).catch(() => {})
    await Promise.race([work.catch(() => {}), late])
    timer.abort()
  }

  /** Whoever stopped the run is waiting for it; after a failure the answers are worth more than the time. */
  private async patience(done: AbortSignal): Promise<void> {
    const { signal } = this.options
    if (signal?.aborted !== true) {
      const cut = anySignal(done, signal)
      const passed = await this.clock.sleep(this.settleMs, cut).then(
        () => true,
        () => false,
      )
      if (passed) return
    }
    await this.clock.sleep(this.graceMs, done)
  }

  private async close(ok: boolean): Promise<void> {
    try {
      await this.rejections.close(ok)
    } finally {
      await this.closeSink(ok)
    }
  }

  private async closeSink(ok: boolean): Promise<void> {
    if (!this.sinkOpen) return
    this.sinkOpen = false
    try {
      await this.sink.close?.(ok)
    } catch (error) {
      this.positions.forgetFlush()
      throw error
    }
  }

  private fail(error: unknown): void {
    this.failure ??= error
    this.reading.abort(this.failure)
  }

  /** In fail mode the cause is counted, but stays outside the acknowledged prefix. */
  private addRejected(add: () => void, tracker: { rejected: number }): void {
    try {
      add()
    } catch (error) {
      tracker.rejected++
      throw error
    }
  }

  private lane(frame: FrameRows<unknown>): ActiveLane {
    return this.positions.active.get(frame.partition) as ActiveLane
  }

  private settled(frame: FrameRows<unknown>, clean: boolean): void {
    if (clean && frame.body !== undefined) this.bodies.give(frame.body)
    this.tell()
    this.saver.poke()
  }

  private tell(): void {
    if (this.options.onProgress === undefined) return
    const bytes = [...this.bytesOf.values()]
    const lanes = Math.max(1, this.positions.partitions.length)
    const known = bytes.length === lanes && bytes.every(([, of]) => of !== undefined)
    const written = this.positions.totals(1, false).reduce((sum, lane) => sum + lane.written, 0)
    this.options.onProgress({
      read: this.positions.readRows(),
      written,
      rejected: this.rejections.count,
      bytes: bytes.reduce((sum, [read]) => sum + read, 0),
      ofBytes: known ? bytes.reduce((sum, [, of]) => sum + (of ?? 0), 0) : undefined,
      elapsedMs: performance.now() - this.startedAt,
      writesInFlight: this.delivery.busy,
    })
  }

  private ledger(settled: boolean): Ledger {
    const totals = this.positions.totals(this.stages.length + 1, this.sink.flush !== undefined)
    return makeLedger(this.chain.source.name, this.stages, this.sink.name, totals, settled)
  }

  private report(status: RunReport['status']): RunReport {
    const lanes = [...this.positions.active.values()].map(({ lane }) => lane)
    return makeReport({
      status,
      ledger: this.ledger(status === 'complete'),
      failure: this.failure,
      limited: this.positions.readRows() >= this.limit,
      cutShort: lanes.find((lane) => lane.cutShort !== undefined)?.cutShort,
      endedEarly: lanes.some((lane) => !lane.ended),
      positions: this.positions,
      rejections: this.rejections,
      delivery: this.delivery,
      sink: this.sink,
      stageTimes: this.chain.names.map((name, k) => ({
        name,
        ms: lanes.reduce((ms, lane) => ms + lane.ownTime(k), 0),
      })),
      encodeMs: this.encodeMs,
      bytes: [...this.bytesOf.values()].reduce((sum, [bytes]) => sum + bytes, 0),
      elapsedMs: performance.now() - this.startedAt,
      readBefore: this.readBefore,
      warnings: this.warnings,
    })
  }
}

/** The same logger, with the first hundred warnings kept for the report. */
function withWarnings(log: Logger, warnings: string[]): Logger {
  return {
    debug: (message, fields) => log.debug(message, fields),
    info: (message, fields) => log.info(message, fields),
    warn: (message, fields) => {
      if (warnings.length < 100) warnings.push(message)
      log.warn(message, fields)
    },
  }
}
