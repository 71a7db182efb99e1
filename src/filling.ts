/** Frames being filled: with rows, or by an encoder that writes rows into the next request body. */
import { byteSize, originAt, rowAt, textAt } from './batch.js'
import type { Batch, Encoder, RejectedRow } from './contracts.js'
import { EtlError, isEtlError, messageOf } from './errors.js'
import { Body, FrameRows } from './frame.js'

export interface FrameLimits {
  readonly rows: number
  readonly bytes: number
  readonly rowBytes: number
  readonly ageMs: number
}

/** Bodies that are free to be filled again. */
export class BodyPool {
  private readonly free: Body[] = []
  private readonly bytes: number

  constructor(bytes: number) {
    this.bytes = bytes
  }

  take(): Body {
    return this.free.pop() ?? new Body(this.bytes)
  }

  /** Only for a body that nobody reads any more; one that grew for a single row is let go. */
  give(body: Body): void {
    if (body.bytes.length === this.bytes && this.free.length < 16) this.free.push(body)
  }
}

export interface FillingOptions<R> {
  readonly partition: string
  readonly limits: FrameLimits
  readonly bodies: BodyPool
  /** Takes a frame, and waits while too many are on their way. */
  readonly emit: (frame: FrameRows<R>) => Promise<void>
  /** A row that could not be encoded. Throws when the run is to fail. */
  readonly refuse: (row: RejectedRow & { readonly ordinal: number }) => void
  /** Time spent encoding, in milliseconds. */
  readonly spent: (ms: number) => void
}

/** Collects rows for a sink that takes rows. */
export class RowFiller<R> {
  frame: FrameRows<R>
  private readonly options: FillingOptions<R>

  constructor(options: FillingOptions<R>) {
    this.options = options
    this.frame = new FrameRows(options.partition)
  }

  get waiting(): number {
    return this.frame.count
  }

  async add(batch: Batch<R>, skip: number, count: number, ordinal: number): Promise<void> {
    const { rows, bytes } = this.options.limits
    const perRow = Math.max(1, byteSize(batch) / count)
    let at = skip
    while (at < count) {
      const byBytes = Math.floor((bytes - this.frame.bytes) / perRow)
      const room = Math.min(rows - this.waiting, this.waiting === 0 ? Math.max(1, byBytes) : byBytes)
      if (room <= 0) {
        await this.flush()
        continue
      }
      const end = Math.min(count, at + room)
      this.frame.addRows(batch, at, end, ordinal + at)
      at = end
    }
    if (this.waiting >= rows || this.frame.bytes >= bytes) await this.flush()
  }

  async flush(): Promise<void> {
    if (this.waiting === 0) return
    const frame = this.frame
    this.frame = new FrameRows(this.options.partition)
    await this.options.emit(frame)
  }

  release(): void {}
}

/** Lets the encoder write rows straight into the next body. */
export class BodyFiller<R> {
  frame: FrameRows<R>
  private readonly options: FillingOptions<R>
  private readonly encoder: Encoder<R>
  private body: Body
  private at = 0

  constructor(options: FillingOptions<R>, encoder: Encoder<R>) {
    this.options = options
    this.encoder = encoder
    this.body = options.bodies.take()
    this.frame = new FrameRows(options.partition, this.body)
  }

  get waiting(): number {
    return this.frame.count
  }

  async add(batch: Batch<R>, skip: number, count: number, ordinal: number): Promise<void> {
    let started = performance.now()
    let index = skip
    while (index < count) {
      index = this.fill(batch, index, count, ordinal)
      if (index < count || this.waiting >= this.options.limits.rows) {
        this.options.spent(performance.now() - started)
        await this.flush()
        started = performance.now()
      }
    }
    this.options.spent(performance.now() - started)
  }

  /** Puts rows until one does not fit; returns the index of the first that was not dealt with. */
  private fill(batch: Batch<R>, start: number, count: number, ordinal: number): number {
    const { encoder, frame } = this
    const { rows: room, bytes } = this.options.limits
    for (let index = start; index < count; index++) {
      const { at } = this
      if (frame.count >= room || at >= bytes) return index
      let end: number
      try {
        end = encoder.put(batch, index, ordinal + index, this.body.bytes, at)
        while (end < 0 && at === 0) {
          this.grow()
          end = encoder.put(batch, index, ordinal + index, this.body.bytes, 0)
        }
        if (end < 0) return index
        if (encoder.key !== undefined) {
          const key = encoder.key(batch, index)
          if (key !== undefined) frame.keys.push(key)
        }
      } catch (error) {
        this.refuse(batch, index, ordinal + index, error)
        continue
      }
      const rowStart = encoder.rowStart === undefined ? at : encoder.rowStart()
      frame.addRecord(batch.origin, index, ordinal + index, rowStart, end)
      this.at = end
    }
    return count
  }

  private grow(): void {
    const { rowBytes } = this.options.limits
    const { bytes } = this.body
    if (bytes.length >= rowBytes) {
      throw new EtlError(
        'ETL_ROW_TOO_LARGE',
        `the row needs more than ${rowBytes} bytes, the most that one request may hold`,
      )
    }
    this.body.bytes = Buffer.allocUnsafeSlow(Math.min(rowBytes, bytes.length * 2))
  }

  private refuse(batch: Batch<R>, index: number, ordinal: number, error: unknown): void {
    this.options.refuse({
      row: safeRow(batch, index),
      code: isEtlError(error) ? error.code : 'ETL_ROW_UNSERIALISABLE',
      reason: messageOf(error),
      position: originAt(batch, index),
      partition: this.options.partition,
      ordinal,
    })
  }

  async flush(): Promise<void> {
    if (this.waiting === 0) return
    const frame = this.frame
    this.body = this.options.bodies.take()
    this.at = 0
    this.frame = new FrameRows(this.options.partition, this.body)
    await this.options.emit(frame)
  }

  release(): void {
    if (this.waiting === 0) this.options.bodies.give(this.body)
  }
}

function safeRow(batch: Batch<unknown>, index: number): unknown {
  try {
    return rowAt(batch, index)
  } catch {
    return textAt(batch, index)
  }
}
