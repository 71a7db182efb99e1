/** An iterator of batches as the reading side of a Node stream: one wait per batch, none per row. */
import type { Readable } from 'node:stream'
import type { Batch } from '../contracts.js'
import { EtlError, toEtlError } from '../errors.js'
import { systemClock } from '../internal/clock.js'
import type { By } from './shapes.js'

/** How long `destroy` waits for a source that does not notice it. */
const RELEASE_MS = 1000

export class Outlet {
  private readonly stream: Readable
  private readonly by: By
  private readonly start: () => AsyncIterator<Batch<unknown>>
  private iterator: AsyncIterator<Batch<unknown>> | undefined
  private rows: readonly unknown[] = []
  private at = 0
  private pulling: Promise<void> | undefined
  private pushing = false
  private wanted = false
  private ended = false

  constructor(stream: Readable, by: By, start: () => AsyncIterator<Batch<unknown>>) {
    this.stream = stream
    this.by = by
    this.start = start
  }

  /** What `_read` does. */
  read(): void {
    this.wanted = true
    // A listener that reads while we push: the loop below goes on for it.
    if (this.pushing || this.pulling !== undefined || this.ended) return
    this.pushing = true
    try {
      while (this.wanted && !this.stream.destroyed) {
        this.wanted = false
        if (!this.pushRows()) continue
        this.pulling = this.pull()
        return
      }
    } catch (error) {
      this.stream.destroy(error as Error)
    } finally {
      this.pushing = false
    }
  }

  /** Ends the iteration; a source that does not notice is left behind after a second. */
  async release(): Promise<void> {
    const { iterator } = this
    if (iterator === undefined || this.ended) return
    this.ended = true
    const timer = new AbortController()
    const late = systemClock.sleep(RELEASE_MS, timer.signal).catch(() => {})
    const returned = Promise.resolve(iterator.return?.()).catch(() => {})
    await Promise.race([Promise.allSettled([this.pulling, returned]), late])
    timer.abort()
  }

  /** Pushes what is there; true when it wants more than that. */
  private pushRows(): boolean {
    const { rows } = this
    while (this.at < rows.length) {
      const row = rows[this.at++]
      if (row === null || row === undefined) {
        throw new EtlError(
          'ETL_STREAM_NULL_ROW',
          `a row is ${row}, which a Node stream takes for its end; make it an object`,
        )
      }
      if (!this.stream.push(row)) return false
    }
    this.rows = []
    return true
  }

  private async pull(): Promise<void> {
    try {
      this.iterator ??= this.start()
      const next = await this.iterator.next()
      this.pulling = undefined
      if (this.stream.destroyed || this.ended) return
      if (next.done) {
        this.ended = true
        this.stream.push(null)
        return
      }
      this.rows = this.by === 'rows' ? next.value.rows : [next.value]
      this.at = 0
      this.read()
    } catch (error) {
      this.pulling = undefined
      this.ended = true
      this.stream.destroy(toEtlError(error, 'ETL_STREAM_FAILED', 'the stream failed'))
    }
  }
}
