/**
 * The one writer of a database. Pieces of work that wait together share a transaction, and each is answered only
 * after its commit. Work that throws leaves nothing behind.
 */
import type { DuckDBConnection } from '@duckdb/node-api'

/** Work of so many bytes is committed together. */
const GROUP_BYTES = 32 * 1024 * 1024

export type Work<T> = (connection: DuckDBConnection) => Promise<T>

interface Waiting {
  readonly work: Work<unknown>
  readonly bytes: number
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

export class Writer {
  readonly #connection: DuckDBConnection
  /** Called after a rollback: what memory knows of the tables may be ahead of them. */
  readonly #rolledBack: () => Promise<void>
  readonly #queue: Waiting[] = []
  #running: Promise<void> | undefined

  constructor(connection: DuckDBConnection, rolledBack: () => Promise<void>) {
    this.#connection = connection
    this.#rolledBack = rolledBack
  }

  /** Runs the work in a transaction and resolves once that is durable. */
  run<T>(work: Work<T>, bytes = 0): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ work, bytes, resolve: resolve as (value: unknown) => void, reject })
      this.#running ??= this.#drain()
    })
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      const group: Waiting[] = []
      let bytes = 0
      do {
        const next = this.#queue.shift()!
        group.push(next)
        bytes += next.bytes
      } while (this.#queue.length > 0 && bytes + this.#queue[0]!.bytes <= GROUP_BYTES)
      const done = await this.#transact(group)
      // One of a group spoils the transaction of all: each then has its own.
      if (!done) for (const one of group) await this.#transact([one])
    }
    this.#running = undefined
  }

  /** False where a group failed and its pieces have no answer yet. */
  async #transact(group: readonly Waiting[]): Promise<boolean> {
    const results: unknown[] = []
    try {
      await this.#connection.run('BEGIN')
      for (const { work } of group) results.push(await work(this.#connection))
      await this.#connection.run('COMMIT')
    } catch (error) {
      // Where BEGIN or COMMIT failed there may be no transaction left to roll back.
      await this.#connection.run('ROLLBACK').catch(() => {})
      await this.#rolledBack().catch(() => {})
      if (group.length > 1) return false
      group[0]!.reject(error)
      return true
    }
    group.forEach(({ resolve }, i) => {
      resolve(results[i])
    })
    return true
  }
}
