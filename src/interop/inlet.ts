/**
 * The writing side of a Node stream as an iterable of batches. Rows wait in one batch only: once it is full, the
 * writer waits until it is taken.
 */
import { byteSize, isRow, rowsBatch } from '../batch.js'
import type { Batch } from '../contracts.js'
import { type Collecting, mustBeBatch, notARow } from './shapes.js'

type Done = (error?: Error | null) => void

export class Inlet<R> implements AsyncIterableIterator<Batch<R>> {
  private readonly limits: Collecting
  private rows: R[] = []
  private bytes = 0
  private taken = 0
  /** The batch that waits, where the stream carries batches. */
  private batch: Batch<R> | undefined
  /** The writer waits. */
  private held: Done | undefined
  private pull: ((result: IteratorResult<Batch<R>>) => void) | undefined
  private refusePull: ((error: unknown) => void) | undefined
  private scheduled = false
  private ended = false
  private left = false
  private failure: { readonly error: unknown } | undefined

  constructor(limits: Collecting) {
    this.limits = limits
  }

  /** Takes a chunk of the stream; `done` is called when there is room for the next. */
  write(chunk: unknown, done: Done): void {
    try {
      if (this.left || !this.add(chunk)) done()
      else {
        this.held = done
        this.deliver()
      }
    } catch (error) {
      done(error as Error)
    }
  }

  /** No more rows come. */
  end(): void {
    this.ended = true
    this.deliver()
  }

  /** The reader fails with this error. */
  fail(error: unknown): void {
    this.failure ??= { error }
    this.deliver()
  }

  next(): Promise<IteratorResult<Batch<R>>> {
    return new Promise((resolve, reject) => {
      this.pull = resolve
      this.refusePull = reject
      if (this.held !== undefined || this.ended || this.left || this.failure !== undefined) this.deliver()
      else if (this.rows.length > 0) this.deliverSoon()
    })
  }

  /** The reader wants no more: what is written from now on is let go. */
  async return(): Promise<IteratorResult<Batch<R>>> {
    this.left = true
    this.rows = []
    this.batch = undefined
    this.deliver()
    this.letWrite()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** Whether what waits is full now. */
  private add(chunk: unknown): boolean {
    if (this.limits.by === 'batches') {
      this.batch = mustBeBatch<R>(chunk)
      return true
    }
    if (!isRow(chunk)) throw notARow(chunk, 'the stream')
    this.rows.push(chunk as R)
    this.bytes += byteSize(rowsBatch([chunk]))
    if (this.rows.length >= this.limits.batchRows || this.bytes >= this.limits.batchBytes) return true
    this.deliverSoon()
    return false
  }

  /** A turn of the event loop later, so that rows written together travel together. */
  private deliverSoon(): void {
    if (this.scheduled || this.pull === undefined) return
    this.scheduled = true
    setImmediate(() => {
      this.scheduled = false
      this.deliver()
    })
  }

  private deliver(): void {
    const { pull, refusePull } = this
    if (pull === undefined || refusePull === undefined) return
    if (this.failure !== undefined) {
      this.forgetPull()
      refusePull(this.failure.error)
      return
    }
    const batch = this.left ? undefined : this.take()
    if (batch === undefined && !this.ended && !this.left) return
    this.forgetPull()
    pull(batch === undefined ? { done: true, value: undefined } : { done: false, value: batch })
    this.letWrite()
  }

  private take(): Batch<R> | undefined {
    const { batch, rows } = this
    if (batch !== undefined) {
      this.batch = undefined
      return batch
    }
    if (rows.length === 0) return undefined
    this.rows = []
    this.bytes = 0
    const first = this.taken + 1
    this.taken += rows.length
    return rowsBatch(rows, undefined, { row: first })
  }

  private forgetPull(): void {
    this.pull = undefined
    this.refusePull = undefined
  }

  private letWrite(): void {
    const { held } = this
    this.held = undefined
    held?.()
  }
}
