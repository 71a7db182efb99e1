/** Waiting for one of several things without leaving reactions behind on long-lived promises. */
import { abortError } from '../errors.js'

/** A signal that aborts with any of the given ones. */
export function anySignal(...signals: readonly (AbortSignal | undefined)[]): AbortSignal {
  return AbortSignal.any(signals.filter((signal) => signal !== undefined))
}

/** Something others wait for; all that wait are woken together. */
export class Gate {
  private waiters: (() => void)[] = []

  /** Resolves at the next `wake`. */
  wait(): Promise<void> {
    return new Promise((resolve) => this.waiters.push(resolve))
  }

  wake(): void {
    const waiters = this.waiters
    this.waiters = []
    for (const waiter of waiters) waiter()
  }
}

/**
 * Waits for one promise at a time, and may be interrupted: by the signal, which rejects, or by `poke`. (A
 * `Promise.race` against a promise that lives as long as the run would keep every batch's reaction alive.)
 */
export class Turnstile {
  private readonly signal: AbortSignal
  private interrupt: ((poked: boolean) => void) | undefined
  private poked = false

  constructor(signal: AbortSignal) {
    this.signal = signal
    signal.addEventListener('abort', this.onAbort, { once: true })
  }

  private readonly onAbort = () => this.interrupt?.(false)

  /** What the promise resolves to, or `'poked'`. */
  pass<T>(promise: Promise<T>): Promise<T | 'poked'> {
    if (this.signal.aborted) return Promise.reject(abortError(this.signal))
    if (this.poked) {
      this.poked = false
      return Promise.resolve('poked')
    }
    return new Promise((resolve, reject) => {
      this.interrupt = (poked) => {
        this.interrupt = undefined
        if (poked) resolve('poked')
        else reject(abortError(this.signal))
      }
      promise.then(
        (value) => {
          this.interrupt = undefined
          resolve(value)
        },
        (error) => {
          this.interrupt = undefined
          reject(error)
        },
      )
    })
  }

  poke(): void {
    if (this.interrupt === undefined) this.poked = true
    else this.interrupt(true)
  }

  release(): void {
    this.signal.removeEventListener('abort', this.onAbort)
  }
}
