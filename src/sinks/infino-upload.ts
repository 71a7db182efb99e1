/**
 * Rows into an Infino dataset as NDJSON bulk uploads: once in effect, since every row carries an id that a
 * second try repeats. Requests run side by side, so rows with different ids may land in any order.
 *
 *     await from(csvSource('orders.csv')).to(infinoUploadSink({ dataset: 'orders', id: 'order_id' })).run()
 *
 * It does not retry: it says which rows were refused, for now or for good, and the engine sends them again.
 */
import { putRow, putText, rowAt } from '../batch.js'
import type { Batch, BodySink, Encoder, Lane, Row } from '../contracts.js'
import type { EtlError } from '../errors.js'
import { infinoClient } from '../infino/client.js'
import { datasetName } from '../infino/names.js'
import { type IdOption, idReader } from '../infino/row-id.js'
import type { InfinoClient, InfinoConnection } from '../infino/types.js'
import { invalidOption, oneOf, wholeNumber } from '../internal/options.js'

export interface InfinoUploadSinkOptions<R = Row> extends InfinoConnection {
  /** Created when the run starts, unless it exists. */
  readonly dataset: string
  /**
   * The row's own id: a column, several columns, or a function. A row with the id of an earlier one replaces it.
   * Rows without a value there are rejected. Default: `<run id>.<partition>.<ordinal>`, so that a fresh run
   * appends and a resumed one repeats nothing.
   */
  readonly id?: IdOption<R> | undefined
  /** Ids never repeat within the data: frames need not wait for each other. Default false. */
  readonly unique?: boolean | undefined
  /** `index` replaces the record, `update` changes the columns given, `delete` removes it. Default `index`. */
  readonly action?: 'index' | 'update' | 'delete' | undefined
  /** A client that the caller closes; default one of its own, from `endpoint`, `accessKey`, `secretKey`. */
  readonly client?: InfinoClient | undefined
  /** Create the dataset. Default true. */
  readonly create?: boolean | undefined
  /** Rows in one request. Default: as many as fit. */
  readonly batchRows?: number | undefined
  /** Bytes of one request. Default 3,355,443 (3.2 MiB), below the gateway's limit of 4 MB. */
  readonly batchBytes?: number | undefined
  /** Bytes of one row sent alone; a larger one is rejected. Default 4,000,000, or `batchBytes` if that is more. */
  readonly rowBytes?: number | undefined
  /** Requests in flight. Default 4. */
  readonly concurrency?: number | undefined
}

const BATCH_BYTES = 3_355_443
const ROW_BYTES = 4_000_000
const CONCURRENCY = 4
const NEWLINE = 0x0a

export function infinoUploadSink<R = Row>(options: InfinoUploadSinkOptions<R>): BodySink<R> {
  const dataset = datasetName(options.dataset)
  const action = oneOf('action', options.action ?? 'index', ['index', 'update', 'delete'])
  const readId = options.id === undefined ? undefined : idReader(options.id)
  if (readId === undefined && action !== 'index')
    throw invalidOption('id', `a column, columns or a function, which action ${action} needs`, undefined)
  const batchBytes = wholeNumber('batchBytes', options.batchBytes, BATCH_BYTES)
  const client = options.client ?? infinoClient(options)
  const unique = options.unique === true

  return {
    name: 'infino-upload',
    wants: readId === undefined ? 'any' : 'rows',
    delivery: 'once',
    fingerprint: `${client.endpoint}/${dataset}`,
    limits: {
      rows: wholeNumber('batchRows', options.batchRows, undefined),
      bytes: batchBytes,
      rowBytes: wholeNumber('rowBytes', options.rowBytes, Math.max(ROW_BYTES, batchBytes)),
      concurrency: wholeNumber('concurrency', options.concurrency, CONCURRENCY),
    },
    encoder: (lane) => (readId === undefined ? numberedEncoder(lane) : keyedEncoder(readId, action, unique)),
    async open(context) {
      if (options.create !== false) await client.datasets.create(dataset, context)
    },
    async write(frame, context) {
      if (frame.count === 0) return undefined
      const refused = await client.upload(dataset, frame.body, frame.count, context)
      if (refused.length === 0) return undefined
      return {
        failures: refused.map(({ index, status, verdict, reason }) => ({
          index,
          verdict,
          code: verdict === 'again' ? 'ETL_INFINO_REFUSED_FOR_NOW' : 'ETL_INFINO_REFUSED',
          reason: `Infino refused the row with status ${status}: ${reason}`,
        })),
      }
    },
    async close() {
      if (options.client === undefined) await client.close()
    },
  }
}

/** Ids from the lane and the ordinal: plain bytes, and nobody looks inside a row. */
function numberedEncoder<R>(lane: Lane): Encoder<R> {
  const quoted = JSON.stringify(`${lane.runId}.${lane.partition}.`)
  const head = Buffer.from(`{"index":{"_id":${quoted.slice(0, -1)}`)
  const tail = Buffer.from('"}}\n')
  let rowStart = 0
  return {
    put(batch, index, ordinal, into, at) {
      if (at + head.length + MAX_DIGITS + tail.length > into.length) return -1
      into.set(head, at)
      let end = putDigits(ordinal, into, at + head.length)
      into.set(tail, end)
      rowStart = end + tail.length
      end = putRow(batch, index, into, rowStart)
      if (end < 0 || end >= into.length) return -1
      into[end] = NEWLINE
      return end + 1
    },
    rowStart: () => rowStart,
  }
}

/** Ids from the row. */
function keyedEncoder<R>(
  readId: (row: R) => string,
  action: 'index' | 'update' | 'delete',
  unique: boolean,
): Encoder<R> {
  const before = action === 'update' ? '{"doc":' : ''
  const after = Buffer.from(action === 'update' ? '}\n' : '\n')
  let rowStart = 0
  // The engine asks for the key of a row and then puts it, perhaps twice: the user's function runs once.
  let lastBatch: Batch<R> | undefined
  let lastIndex = -1
  let lastId: string | EtlError = ''
  const idOf = (batch: Batch<R>, index: number): string | EtlError => {
    if (batch === lastBatch && index === lastIndex) return lastId
    lastBatch = batch
    lastIndex = index
    lastId = attempt(readId, rowAt(batch, index))
    return lastId
  }
  const encoder: Encoder<R> = {
    put(batch, index, _ordinal, into, at) {
      const id = idOf(batch, index)
      if (typeof id !== 'string') throw id
      rowStart = putText(`{"${action}":{"_id":${JSON.stringify(id)}}}\n${before}`, into, at)
      if (rowStart < 0 || action === 'delete') return rowStart
      const end = putRow(batch, index, into, rowStart)
      if (end < 0 || end + after.length > into.length) return -1
      into.set(after, end)
      return end + after.length
    },
    // A deletion has no row in the body: its action line is what can be shown.
    ...(action === 'delete' ? {} : { rowStart: () => rowStart }),
  }
  if (unique) return encoder
  return {
    ...encoder,
    key(batch, index) {
      const id = idOf(batch, index)
      return typeof id === 'string' ? id : undefined
    },
  }
}

function attempt<R>(readId: (row: R) => string, row: R): string | EtlError {
  try {
    return readId(row)
  } catch (error) {
    return error as EtlError
  }
}

const MAX_DIGITS = 16

function putDigits(value: number, into: Uint8Array, at: number): number {
  let end = at + 1
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) end++
  for (let i = end - 1, rest = value; i >= at; i--) {
    const next = Math.floor(rest / 10)
    into[i] = 0x30 + (rest - next * 10)
    rest = next
  }
  return end
}
