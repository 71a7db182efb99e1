import type { Writable } from 'node:stream'
import { parse, size } from '../batch.js'
import type { Batch, Row, RunContext, Transform } from '../contracts.js'
import { EtlError, toEtlError } from '../errors.js'
import { systemClock } from '../internal/clock.js'
import { Gate } from '../internal/waiting.js'
import { drain } from './drain.js'
import { type CollectOptions, collecting } from './shapes.js'

/** How long leaving early waits for an input that does not notice it. */
const LEAVE_MS = 1000

/**
 * A Node Transform or Duplex as a transform of a pipeline. Give a function that makes one, since a stream works
 * once; a stream given as it is serves one run over one partition.
 *
 *     from(source).through(viaStream<Row, Row>(() => new MyTransform({ objectMode: true }))).to(sink)
 *
 * Nobody knows which rows went in for a row that comes out: cursors stop here, so a resumed run reads everything
 * again and drops what was written, and rejected rows behind it have no position.
 */
export function viaStream<I = Row, O = Row>(
  make: NodeJS.ReadWriteStream | (() => NodeJS.ReadWriteStream),
  options: CollectOptions = {},
): Transform<I, O> {
  const limits = collecting(options)
  let used = false
  const open = (): NodeJS.ReadWriteStream => {
    if (typeof make === 'function') return make()
    if (used) {
      throw new EtlError(
        'ETL_STREAM_CONSUMED',
        'the stream given to viaStream was used already; give a function that makes a new one',
      )
    }
    used = true
    return make
  }
  async function* viaStream(
    input: AsyncIterable<Batch<I>>,
    context: RunContext = {},
  ): AsyncGenerator<Batch<O>> {
    const stream = open() as NodeJS.ReadWriteStream & Writable
    const stop = new AbortController()
    const feeding = feed(input, stream, limits.by === 'rows', stop.signal).catch((error: unknown) => {
      stream.destroy(toEtlError(error, 'ETL_STREAM_FAILED', 'viaStream'))
    })
    try {
      for await (const batch of drain<O>(() => stream, limits, 'viaStream', context)) {
        // What a stream of batches makes of cursors and origins is not to be trusted.
        if (size(batch) > 0) yield { rows: parse(batch, refuseLine).rows }
      }
    } finally {
      stop.abort()
      stream.destroy()
      const timer = new AbortController()
      await Promise.race([feeding, systemClock.sleep(LEAVE_MS, timer.signal).catch(() => {})])
      timer.abort()
    }
  }
  return Object.assign(viaStream, { wants: 'rows', memory: true, count: 'any', label: 'viaStream' } as const)
}

/** Writes everything into the stream, as fast as it takes it. */
async function feed(
  input: AsyncIterable<Batch<unknown>>,
  stream: Writable,
  byRows: boolean,
  stop: AbortSignal,
): Promise<void> {
  const gate = new Gate()
  const wake = () => gate.wake()
  stream.on('drain', wake)
  stream.on('close', wake)
  stop.addEventListener('abort', wake, { once: true })
  const isOver = () => stop.aborted || stream.destroyed || stream.writableEnded
  try {
    for await (const batch of input) {
      for (const chunk of byRows ? batch.rows : [batch]) {
        if (isOver()) return
        if (!stream.write(chunk) && !isOver()) await gate.wait()
      }
      if (isOver()) return
    }
    if (!isOver()) stream.end()
  } finally {
    stream.off('drain', wake)
    stream.off('close', wake)
    stop.removeEventListener('abort', wake)
  }
}

function refuseLine(index: number, _text: string, reason: string): never {
  throw new EtlError('ETL_STREAM_NOT_ROW', `viaStream: row ${index + 1} of a batch of text: ${reason}`)
}
