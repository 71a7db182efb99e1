/** How long to wait after a failure, and how often. Whether to try at all is the error's verdict. */
import type { Clock } from './contracts.js'
import { EtlError, isEtlError, messageOf } from './errors.js'
import { systemClock } from './internal/clock.js'
import { wholeNumber } from './internal/options.js'

export interface RetryOptions {
  /** Tries in all. Default 8. */
  readonly attempts?: number | undefined
  /** Upper bound of the first wait. Default 500. */
  readonly baseMs?: number | undefined
  /** Upper bound of any wait that we choose. Default 30,000. */
  readonly capMs?: number | undefined
  /** Upper bound of a wait that the other side asks for. Default 300,000. */
  readonly retryAfterCapMs?: number | undefined
  /** Give up so long after the first failure. Default 600,000. */
  readonly deadlineMs?: number | undefined
}

export type RetryPolicy = { readonly [K in keyof RetryOptions]-?: number }

/** What the waiting needs from outside; both have defaults. */
export interface RetryWorld {
  readonly clock?: Clock | undefined
  /** A number from 0 up to 1. */
  readonly random?: (() => number) | undefined
}

export function retryPolicy(options: RetryOptions = {}): RetryPolicy {
  return {
    attempts: wholeNumber('retry.attempts', options.attempts, 8),
    baseMs: wholeNumber('retry.baseMs', options.baseMs, 500, 0),
    capMs: wholeNumber('retry.capMs', options.capMs, 30_000, 0),
    retryAfterCapMs: wholeNumber('retry.retryAfterCapMs', options.retryAfterCapMs, 300_000, 0),
    deadlineMs: wholeNumber('retry.deadlineMs', options.deadlineMs, 600_000, 0),
  }
}

/**
 * The wait before try `attempt + 1`: full jitter below `base * 2^(attempt - 1)`. A wait that the other side
 * asked for is kept, and stretched by up to a tenth so that many clients do not come back at once.
 */
export function delayFor(
  attempt: number,
  policy: RetryPolicy,
  random: number,
  retryAfterMs?: number,
): number {
  if (retryAfterMs !== undefined) {
    return Math.round(Math.min(retryAfterMs, policy.retryAfterCapMs) * (1 + random / 10))
  }
  const bound = Math.min(policy.capMs, policy.baseMs * 2 ** Math.min(attempt - 1, 30))
  return Math.round(bound * random)
}

/** Counts the failures of one piece of work and waits between its tries. */
export class Backoff {
  private readonly policy: RetryPolicy
  private readonly clock: Clock
  private readonly random: () => number
  private failures = 0
  private since = 0

  constructor(policy: RetryPolicy, world: RetryWorld = {}) {
    this.policy = policy
    this.clock = world.clock ?? systemClock
    this.random = world.random ?? Math.random
  }

  /** 1 before the first failure. */
  get attempt(): number {
    return this.failures + 1
  }

  /** Part of the work succeeded: the count starts anew. */
  progress(): void {
    this.failures = 0
  }

  /** Waits for the next try; throws `error` again, or `ETL_RETRIES_EXHAUSTED`, when there is to be none. */
  async wait(error: unknown, signal?: AbortSignal): Promise<void> {
    if (!isEtlError(error) || error.verdict !== 'again') throw error
    const now = this.clock.now()
    if (this.failures === 0) this.since = now
    this.failures++
    const delay = delayFor(this.failures, this.policy, this.random(), error.retryAfterMs)
    if (this.failures >= this.policy.attempts) throw exhausted(error, `after ${this.failures} tries`)
    if (now + delay - this.since > this.policy.deadlineMs) {
      throw exhausted(error, `within ${this.policy.deadlineMs} ms (${this.failures} tries)`)
    }
    await this.clock.sleep(delay, signal)
  }
}

/** Runs the task until it succeeds, fails for good, or the policy says to stop. */
export async function retry<T>(
  task: (attempt: number) => Promise<T>,
  policy: RetryPolicy,
  world: RetryWorld & { readonly signal?: AbortSignal | undefined } = {},
): Promise<T> {
  const backoff = new Backoff(policy, world)
  for (;;) {
    try {
      return await task(backoff.attempt)
    } catch (error) {
      await backoff.wait(error, world.signal)
    }
  }
}

function exhausted(error: EtlError, when: string): EtlError {
  return new EtlError('ETL_RETRIES_EXHAUSTED', `gave up ${when}; the last failure: ${messageOf(error)}`, {
    cause: error,
    context: { ...error.context, lastCode: error.code },
  })
}
