import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EtlError } from '../../src/errors.js'
import { Backoff, delayFor, retry, retryPolicy } from '../../src/retry.js'

const again = (retryAfterMs?: number) => new EtlError('BUSY', 'busy', { verdict: 'again', retryAfterMs })

function world() {
  const slept: number[] = []
  let now = 0
  return {
    slept,
    clock: {
      now: () => now,
      sleep: async (ms: number) => {
        slept.push(ms)
        now += ms
      },
    },
    random: () => 0.5,
  }
}

describe('delayFor', () => {
  it('stays between nothing and the doubled base, and under the cap', () => {
    const policy = retryPolicy({ baseMs: 100, capMs: 5000 })
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (attempt, random) => {
          const delay = delayFor(attempt, policy, random)
          expect(delay).toBeGreaterThanOrEqual(0)
          expect(delay).toBeLessThanOrEqual(Math.min(5000, 100 * 2 ** (attempt - 1)))
        },
      ),
    )
  })

  it('waits at least as long as the other side asked, up to its own cap', () => {
    const policy = retryPolicy({ capMs: 10, retryAfterCapMs: 60_000 })
    expect(delayFor(1, policy, 0, 3000)).toBe(3000)
    expect(delayFor(1, policy, 0.99, 3000)).toBeLessThanOrEqual(3300)
    expect(delayFor(1, policy, 0, 1e9)).toBe(60_000)
  })
})

describe('retry', () => {
  it('tries so often as the policy says and names the last failure', async () => {
    const time = world()
    let tries = 0
    const failing = retry(
      async () => {
        tries++
        throw again()
      },
      retryPolicy({ attempts: 4 }),
      time,
    )
    await expect(failing).rejects.toMatchObject({
      code: 'ETL_RETRIES_EXHAUSTED',
      context: { lastCode: 'BUSY' },
    })
    expect(tries).toBe(4)
    expect(time.slept).toEqual([250, 500, 1000])
  })

  it('does not try again what must not be tried again, nor a failure it does not know', async () => {
    for (const error of [new EtlError('NO', 'no'), new Error('unknown')]) {
      let tries = 0
      const failing = retry(
        async () => {
          tries++
          throw error
        },
        retryPolicy(),
        world(),
      )
      await expect(failing).rejects.toBe(error)
      expect(tries).toBe(1)
    }
  })

  it('gives up before a wait that would pass the deadline', async () => {
    const time = world()
    const failing = retry(
      () => Promise.reject(again(40_000)),
      retryPolicy({ deadlineMs: 100_000, attempts: 50 }),
      time,
    )
    await expect(failing).rejects.toMatchObject({ code: 'ETL_RETRIES_EXHAUSTED' })
    expect(time.slept.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(100_000)
  })

  it('stops waiting when the signal aborts', async () => {
    const stop = new AbortController()
    const failing = retry(() => Promise.reject(again(60_000)), retryPolicy(), { signal: stop.signal })
    stop.abort()
    await expect(failing).rejects.toMatchObject({ code: 'ETL_ABORTED' })
  })
})

describe('Backoff', () => {
  it('counts anew after progress on part of the work', async () => {
    const backoff = new Backoff(retryPolicy({ attempts: 3 }), world())
    for (let i = 0; i < 10; i++) {
      await backoff.wait(again())
      await backoff.wait(again())
      backoff.progress()
    }
    expect(backoff.attempt).toBe(1)
  })
})
