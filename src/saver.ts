/** When a position is saved: after the rows it covers are safe, and the dead letters of those that are not. */
import type { Clock, Logger, Sink } from './contracts.js'
import type { Delivery } from './delivery.js'
import type { Positions } from './positions.js'
import type { Rejections } from './rejections.js'

export interface SaverOptions {
  readonly sink: Sink<unknown>
  readonly positions: Positions
  readonly delivery: Delivery<unknown>
  readonly rejections: Rejections
  readonly clock: Clock
  /** At most one save in so many milliseconds. */
  readonly everyMs: number
  readonly enabled: boolean
  readonly log: Logger
  readonly signal: AbortSignal
  readonly failed: (error: unknown) => void
  /** The run has failed: nothing may be flushed that was half taken. */
  readonly hasFailed: () => boolean
}

export class Saver {
  private readonly options: SaverOptions
  private saving: Promise<void> | undefined
  private savedAt: number | undefined

  constructor(options: SaverOptions) {
    this.options = options
  }

  /** Before the first write, so that a crash during it does not start over under another run id. */
  async start(): Promise<void> {
    if (!this.options.positions.resumed) await this.options.positions.save(false)
    this.savedAt = this.options.clock.now()
  }

  /** Starts a save if one is due, in the background. */
  poke(): void {
    const { enabled, clock, everyMs, failed, hasFailed } = this.options
    if (!enabled || this.saving !== undefined || this.savedAt === undefined || hasFailed()) return
    if (clock.now() - this.savedAt < everyMs) return
    this.saving = this.saveBetweenWrites()
      .catch(failed)
      .finally(() => {
        this.saving = undefined
      })
  }

  /** Resolves when no save is under way. */
  async idle(): Promise<void> {
    await this.saving
  }

  /** The save at the end; whoever stops waiting for it finds it with `idle`. */
  saveLast(): Promise<void> {
    const saving = this.save().finally(() => {
      this.saving = undefined
    })
    this.saving = saving
    return saving
  }

  /** Saves while nothing is in flight. */
  async save(): Promise<void> {
    const { sink, positions, rejections, signal, log } = this.options
    if (sink.flush !== undefined) {
      positions.noteFlush(await sink.flush({ signal: signal.aborted ? undefined : signal, log }))
    }
    const checkpoint = positions.checkpoint(false)
    await rejections.flush()
    await positions.store?.save(checkpoint)
  }

  /** After a failure: saves what can be described, if anything was opened. */
  async saveWhatIsSafe(): Promise<void> {
    const { enabled, sink, positions } = this.options
    const safe = sink.flush === undefined || positions.isSettled()
    if (enabled && this.savedAt !== undefined && safe) await this.save()
  }

  /** A sink that collects is flushed while nothing is in flight, so that its state and the positions agree. */
  private async saveBetweenWrites(): Promise<void> {
    const { sink, delivery, clock, hasFailed } = this.options
    if (sink.flush !== undefined) await delivery.pause()
    try {
      if (!hasFailed()) await this.save()
      this.savedAt = clock.now()
    } finally {
      if (sink.flush !== undefined) delivery.resume()
    }
  }
}
