/** A sequence of chunks whose beginning can be looked at before it is read. */
import { systemClock } from '../../internal/clock.js'

export class Peekable implements AsyncIterable<Uint8Array> {
  private readonly next: () => Promise<Uint8Array | undefined>
  private readonly held: Uint8Array[] = []
  private heldBytes = 0
  private pending: Promise<Uint8Array | undefined> | undefined
  private ended = false
  /** Met while looking; thrown when reading comes to it, after what was read before. */
  private failure: { error: unknown } | undefined

  private readonly release: () => void

  constructor(next: () => Promise<Uint8Array | undefined>, release: () => void = () => {}) {
    this.next = next
    this.release = release
  }

  /** Over a generator, which is returned when reading stops. */
  static over(generator: AsyncGenerator<Uint8Array>): Peekable {
    const next = async () => {
      const { done, value } = await generator.next()
      return done === true ? undefined : value
    }
    // Never waited for: it queues behind a pending `next`.
    return new Peekable(next, () => void generator.return(undefined).catch(() => {}))
  }

  /** Lets go of what is behind; for a reader that never began to iterate, too. */
  close(): void {
    this.release()
  }

  /**
   * The first `bytes` or so of what is not read yet, fewer at the end or `ageMs` after the first of them came. `whole`: nothing follows. `failure`: what reading comes to behind the head.
   */
  async peek(
    bytes: number,
    ageMs: number,
  ): Promise<{ head: Buffer; whole: boolean; failure: { error: unknown } | undefined }> {
    let deadline = this.heldBytes === 0 ? undefined : systemClock.now() + ageMs
    while (this.heldBytes < bytes && !this.ended && this.failure === undefined) {
      const wait = deadline === undefined ? undefined : deadline - systemClock.now()
      if ((wait ?? 0) < 0 || !(await this.fetch(wait))) break
      if (this.heldBytes > 0) deadline ??= systemClock.now() + ageMs
    }
    return { head: Buffer.concat(this.held), whole: this.ended, failure: this.failure }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const chunk = this.held.shift()
        if (chunk !== undefined) {
          this.heldBytes -= chunk.length
          yield chunk
          continue
        }
        if (this.failure !== undefined) throw this.failure.error
        if (this.ended) return
        await this.fetch(undefined)
      }
    } finally {
      this.close()
    }
  }

  /** Whether a chunk, the end or a failure came in time. */
  private async fetch(ageMs: number | undefined): Promise<boolean> {
    this.pending ??= this.next()
    try {
      const chunk = await (ageMs === undefined ? this.pending : inTime(this.pending, ageMs))
      if (chunk === LATE) return false
      this.pending = undefined
      if (chunk === undefined) this.ended = true
      else if (chunk.length > 0) {
        this.held.push(chunk)
        this.heldBytes += chunk.length
      }
    } catch (error) {
      this.pending = undefined
      this.failure = { error }
    }
    return true
  }
}

/** The promise, or `LATE` where it takes longer. */
async function inTime<T>(promise: Promise<T>, ageMs: number): Promise<T | typeof LATE> {
  promise.catch(() => {})
  const timer = new AbortController()
  const isLate = (): typeof LATE => LATE
  const late = systemClock.sleep(ageMs, timer.signal).then(isLate, isLate)
  try {
    return await Promise.race([promise, late])
  } finally {
    timer.abort()
  }
}

const LATE: unique symbol = Symbol('late')
