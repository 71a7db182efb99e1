/** Runs contract cases as tests. */
import { describe, it } from 'vitest'
import type { ContractCase } from '../../src/testing/index.js'

export function suite(name: string, cases: readonly ContractCase[]): void {
  describe(name, () => {
    for (const { name: behaviour, run } of cases) it(behaviour, run)
  })
}

/** Orders for the contract of sources and sinks: nulls, unicode, quotes, nothing that CSV or JSON would change. */
export interface Order {
  readonly id: number
  readonly customer: string
  readonly note: string | null
  readonly price: number
  readonly paid: boolean
}

export function orders(count: number): Order[] {
  return Array.from({ length: count }, (_, id) => ({
    id,
    customer: `Ünal "${id}"`,
    note: id % 5 === 0 ? null : `line one\nline ${id}`,
    price: id + 0.25,
    paid: id % 3 === 0,
  }))
}

/** A stream of bytes that gives these and then nothing more, and never ends; it notices being closed. */
export function stalledBytes(text: string): AsyncIterable<Uint8Array> {
  let given = false
  let wake: (() => void) | undefined
  return {
    [Symbol.asyncIterator]: () => ({
      next: () => {
        if (given) {
          return new Promise((resolve) => {
            wake = () => resolve({ done: true, value: undefined })
          })
        }
        given = true
        return Promise.resolve({ done: false, value: Buffer.from(text) })
      },
      return: async () => {
        wake?.()
        return { done: true, value: undefined }
      },
    }),
  }
}
