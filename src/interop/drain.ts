/** Rows out of a foreign Node stream, as batches: one wait per filling of its buffer, none per row. */
import type { Readable } from 'node:stream'
import { byteSize, isRow, rowsBatch } from '../batch.js'
import type { Batch, RunContext } from '../contracts.js'
import { abortError, EtlError, throwIfAborted, toEtlError } from '../errors.js'
import { Gate } from '../internal/waiting.js'
import { type Collecting, mustBeBatch, notARow } from './shapes.js'

/** A stream of Node itself, or of a package that has its own. */
export type AnyReadable = Readable | NodeJS.ReadableStream

/**
 * Yields until the stream ends. Destroys it when it is left early, and on an abort. A chunk that is no object is
 * a rejected row.
 */
export async function* drain<R>(
  open: () => AnyReadable,
  limits: Collecting,
  name: string,
  context: RunContext,
): AsyncGenerator<Batch<R>> {
  const { signal } = context
  throwIfAborted(signal)
  const readable = open() as Readable
  const gate = new Gate()
  const wake = () => gate.wake()
  let ended = readable.readableEnded === true
  let failure: { readonly error: unknown } | undefined
  if (readable.destroyed && !ended) failure = { error: readable.errored ?? closedEarly(name) }
  const onEnd = () => {
    ended = true
    wake()
  }
  const onError = (error: unknown) => {
    failure ??= { error }
    wake()
  }
  const onClose = () => {
    if (!ended) failure ??= { error: closedEarly(name) }
    wake()
  }
  readable.on('readable', wake)
  readable.on('end', onEnd)
  readable.on('error', onError)
  readable.on('close', onClose)
  signal?.addEventListener('abort', wake, { once: true })
  let row = 0
  try {
    for (;;) {
      if (signal?.aborted) throw abortError(signal)
      const rows: R[] = []
      const first = row + 1
      let bytes = 0
      let batch: Batch<R> | undefined
      while (rows.length < limits.batchRows && bytes < limits.batchBytes) {
        const chunk: unknown = readable.read()
        if (chunk === null) break
        if (limits.by === 'batches') {
          batch = mustBeBatch<R>(chunk)
          break
        }
        row++
        // The rows before it go first, so that rejected rows come in order: its own turn is the next one.
        if (!isRow(chunk) || ArrayBuffer.isView(chunk)) {
          if (rows.length > 0) yield rowsBatch(rows.splice(0), undefined, { row: first })
          refuse(chunk, row, name, context)
          break
        }
        rows.push(chunk as R)
        bytes += byteSize(rowsBatch([chunk]))
      }
      if (batch !== undefined) yield batch
      else if (rows.length > 0) yield rowsBatch(rows, undefined, { row: first })
      else if (row >= first) continue
      else if (failure !== undefined) throw toEtlError(failure.error, 'ETL_STREAM_FAILED', name)
      else if (ended) return
      else await gate.wait()
    }
  } finally {
    signal?.removeEventListener('abort', wake)
    readable.off('readable', wake)
    readable.off('end', onEnd)
    readable.off('close', onClose)
    // An error that comes after we left has no other listener, and must not end the process.
    if (!ended) readable.destroy?.()
    else readable.off('error', onError)
  }
}

function refuse(chunk: unknown, row: number, name: string, context: RunContext): void {
  if (ArrayBuffer.isView(chunk)) {
    throw new EtlError(
      'ETL_STREAM_BYTES',
      `${name}: expected rows and got bytes; parse them first, or give the stream to csvSource or jsonlSource`,
    )
  }
  const error = notARow(chunk, name)
  if (context.reject === undefined) {
    throw new EtlError(error.code, `${error.message} (row ${row})`, { context: { row } })
  }
  context.reject({ row: chunk, code: error.code, reason: error.message, position: { row } })
}

function closedEarly(name: string): EtlError {
  return new EtlError('ETL_STREAM_CLOSED', `${name}: the stream was closed before its end`)
}
