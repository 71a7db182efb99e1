/** Frames as the batcher would cut them, for tests that drive a body sink directly. */
import { rowsBatch, size } from '../../src/batch.js'
import type { Batch, BodyFrame, BodySink, Row } from '../../src/contracts.js'

export interface FramedRows {
  readonly frame: BodyFrame
  /** Rows that the encoder refused, with what it threw. */
  readonly refused: readonly { readonly index: number; readonly error: unknown }[]
  readonly rowStarts: readonly number[]
}

export interface FrameOptions {
  readonly runId?: string
  readonly partition?: string
  /** Ordinal of the first row. */
  readonly first?: number
  /** Bytes of the buffer to begin with; it doubles as needed. */
  readonly room?: number
}

/** All rows of a batch in one frame. */
export function frameOf<R = Row>(
  sink: BodySink<R>,
  rows: readonly R[] | Batch<R>,
  options: FrameOptions = {},
): FramedRows {
  const batch = Array.isArray(rows) ? rowsBatch(rows as readonly R[]) : (rows as Batch<R>)
  const count = size(batch)
  const encoder = sink.encoder({ runId: options.runId ?? 'run', partition: options.partition ?? 'p0' })
  const ends: number[] = []
  const ordinals: number[] = []
  const refused: { index: number; error: unknown }[] = []
  const rowStarts: number[] = []
  let body = Buffer.alloc(options.room ?? 256, 0x7e)
  let at = 0
  for (let index = 0; index < count; index++) {
    const ordinal = (options.first ?? 0) + index
    try {
      encoder.key?.(batch, index)
      let end = encoder.put(batch, index, ordinal, body, at)
      while (end < 0) {
        const larger = Buffer.alloc(body.length * 2, 0x7e)
        body.copy(larger, 0, 0, at)
        body = larger
        end = encoder.put(batch, index, ordinal, body, at)
      }
      rowStarts.push(encoder.rowStart?.() ?? at)
      at = end
      ends.push(end)
      ordinals.push(ordinal)
    } catch (error) {
      refused.push({ index, error })
    }
  }
  const frame: BodyFrame = {
    partition: options.partition ?? 'p0',
    count: ends.length,
    body: body.subarray(0, at),
    ordinalAt: (index) => ordinals[index]!,
    positionAt: () => undefined,
    endAt: (index) => ends[index]!,
  }
  return { frame, refused, rowStarts }
}
