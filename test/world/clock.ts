/** Seeded chance and a clock that nobody waits for: the earliest sleeper wakes whenever the event loop is idle. */
import type { Clock } from '../../src/contracts.js'
import { abortError } from '../../src/errors.js'

export type Chance = ReturnType<typeof chance>

/** mulberry32. */
export function chance(seed: number) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const whole = (low: number, high: number) => low + Math.floor(next() * (high - low + 1))
  return {
    next,
    whole,
    happens: (share: number) => next() < share,
    pick: <T>(list: readonly T[]) => list[whole(0, list.length - 1)] as T,
  }
}

export class WorldClock implements Clock {
  private time = 1_700_000_000_000
  private sleepers: { at: number; wake: () => void }[] = []
  private pumping = false

  now = (): number => this.time

  sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(abortError(signal))
      const sleeper = { at: this.time + ms, wake: resolve }
      this.sleepers.push(sleeper)
      signal?.addEventListener(
        'abort',
        () => {
          this.sleepers = this.sleepers.filter((other) => other !== sleeper)
          reject(abortError(signal))
        },
        { once: true },
      )
      this.pump()
    })

  private pump(): void {
    if (this.pumping) return
    this.pumping = true
    setImmediate(() => {
      this.pumping = false
      this.sleepers.sort((a, b) => a.at - b.at)
      const first = this.sleepers.shift()
      if (first !== undefined) {
        this.time = Math.max(this.time, first.at)
        first.wake()
      }
      if (this.sleepers.length > 0) this.pump()
    })
  }
}

/** A few turns of the event loop. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}
