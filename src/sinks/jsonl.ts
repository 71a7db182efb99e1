/**
 * Rows into a file of JSON Lines. The file appears when the run has succeeded: until then it is
 * `<path>.partial`. With a checkpoint a resumed run goes on in it, and each row is there once.
 *
 *     await from(csvSource('orders.csv')).to(jsonlSink('orders.jsonl.gz', { gzip: true })).run()
 *
 * With `append` rows are added to the file itself, as dead letters want it:
 *
 *     run({ onError: deadLetter(jsonlSink('rejected.jsonl', { append: true })) })
 *
 * One run at a time may write a file. Errors name it: `ETL_FILE_FULL`, `ETL_FILE_ACCESS`, `ETL_FILE_NOT_FOUND`,
 * `ETL_FILE_IS_DIRECTORY`, `ETL_FILE_NOT_REGULAR`, `ETL_FILE_CHANGED`, `ETL_FILE_WRITE`.
 */
import { resolve } from 'node:path'
import { putRow } from '../batch.js'
import type { BodySink, Encoder, Row } from '../contracts.js'
import { throwIfAborted } from '../errors.js'
import { invalidOption, nonEmptyString } from '../internal/options.js'
import { OutputFile, savedLengthOf } from './files/output-file.js'

export interface JsonlSinkOptions {
  /** Add to the file. A half line that a crash left at its end is cut off first. Default false. */
  readonly append?: boolean | undefined
  /** Compress. Not together with `append`. Default false. */
  readonly gzip?: boolean | undefined
}

const NEWLINE = 0x0a
/** A row is bounded by what reads it back: `maxRowBytes` of the file sources. */
const ROW_BYTES = 16 * 1024 * 1024

export function jsonlSink<R = Row>(path: string, options: JsonlSinkOptions = {}): BodySink<R> {
  nonEmptyString('path', path)
  const { append = false, gzip = false } = options
  if (append && gzip) throw invalidOption('gzip', 'false where append is true', gzip)
  const file = new OutputFile({ path, append, gzip })

  return {
    name: 'jsonl',
    wants: 'parsed',
    delivery: 'once',
    fingerprint: `jsonl:${resolve(path)}`,
    limits: { rowBytes: ROW_BYTES, concurrency: 1 },
    encoder: () => lineEncoder,
    open: (context) => file.open(context, savedLengthOf(context.saved, path)),
    async write(frame, context) {
      throwIfAborted(context.signal)
      await file.write(frame.body)
      return undefined
    },
    async flush() {
      await file.flush()
      return { length: file.length }
    },
    close: (ok) => file.close(ok),
  }
}

const lineEncoder: Encoder<unknown> = {
  put(batch, index, _ordinal, into, at) {
    const end = putRow(batch, index, into, at)
    if (end < 0 || end >= into.length) return -1
    into[end] = NEWLINE
    return end + 1
  },
}
