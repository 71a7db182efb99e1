/** At most so many at a time; the others wait in order, and beyond a bound are refused. */
import { ApiError } from './reply.js'

export class Slots {
  readonly #waiting: (() => void)[] = []
  readonly #size: number
  readonly #maxWaiting: number
  #taken = 0

  constructor(size: number, maxWaiting: number) {
    this.#size = size
    this.#maxWaiting = maxWaiting
  }

  /** Resolves to the function that gives the slot back. */
  async take(): Promise<() => void> {
    if (this.#taken < this.#size) this.#taken += 1
    else {
      if (this.#waiting.length >= this.#maxWaiting)
        throw new ApiError(429, 'too_many_requests', 'too many queries are waiting: try again later')
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    let given = false
    return () => {
      if (given) return
      given = true
      const next = this.#waiting.shift()
      if (next === undefined) this.#taken -= 1
      else next()
    }
  }

  /** Resolves when everybody who holds or waits for a slot has given it back. */
  async idle(): Promise<void> {
    // Slots are given in order, so these come after everybody who waits.
    const releases = await Promise.all(Array.from({ length: this.#size }, () => this.take()))
    for (const release of releases) release()
  }
}
