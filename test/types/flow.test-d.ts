/**
 * Types flow from end to end. Compiled and never run: what must not compile is marked, and a mark without an error
 * is an error itself.
 */
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  type Batch,
  callbackSink,
  csvSink,
  csvSource,
  filter,
  flatMap,
  from,
  fromReadable,
  infinoUploadSink,
  jsonlSink,
  jsonlSource,
  map,
  memorySink,
  nullSink,
  type Row,
  type Sink,
  type Source,
  type Transform,
  toReadable,
  toTransform,
  toWritable,
  viaStream,
} from '../../src/index.js'

interface Order {
  readonly id: string
  readonly qty: number
  readonly note?: string
}
interface Priced extends Order {
  readonly total: number
}
declare const orders: Source<Order>
declare const anything: Transform<Order, Priced>
const price = (order: Order): Priced => ({ ...order, total: order.qty })
const hasNote = (order: Order): order is Order & { note: string } => order.note !== undefined

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const isTrue = <T extends true>(): T | undefined => undefined

export async function streams(): Promise<void> {
  // Node's own pipeline() takes sources and transforms as they are.
  await pipeline(orders.read({}), map(price), async (batches) => {
    for await (const batch of batches) batch.rows.map((row: Priced) => row.total)
  })
  const dear = filter((order: Priced) => order.total > 1)
  await pipeline(orders.read({}), anything, dear, async (batches: AsyncIterable<Batch<Priced>>) => {
    for await (const batch of batches) batch.rows[0]?.total
  })
  // @ts-expect-error the step after the transform wants other rows
  await pipeline(orders.read({}), map(price), async (batches: AsyncIterable<Batch<{ other: string }>>) => {
    for await (const batch of batches) batch.rows[0]?.other
  })
  await pipeline(from(orders).map(price).batches(), async (batches: AsyncIterable<Batch<Priced>>) => {
    for await (const batch of batches) batch.rows.at(0)?.total
  })
  await pipeline(toReadable(orders), toTransform(map(price)), toWritable(memorySink<Priced>()))
  await pipeline(toReadable(orders, { by: 'batches' }), toWritable(memorySink<Order>(), { by: 'batches' }))

  for await (const order of toReadable(orders)) order.qty.toFixed()
  for await (const batch of toReadable(from(orders).batches(), { by: 'batches' }))
    batch.rows[0]?.qty.toFixed()
  for await (const batch of fromReadable<Order>(toReadable(orders))) batch.rows[0]?.id.length
  // @ts-expect-error a row has no such column
  for await (const order of toReadable(orders)) order.quantity

  const written: number | undefined = toWritable(nullSink()).report?.ledger.sink.written
  written?.toFixed()
  // @ts-expect-error a limit would drop rows that the writer believes written
  toWritable(nullSink(), { limit: 5 })
  // @ts-expect-error rows or batches
  toReadable(orders, { by: 'bytes' })
}

export function steps(duplex: () => Duplex): void {
  const mapped = from(orders).map(price)
  isTrue<Same<(typeof mapped)['_row'], Priced | undefined>>()
  const noted = from(orders).filter(hasNote)
  isTrue<Same<(typeof noted)['_row'], (Order & { note: string }) | undefined>>()
  noted.map((order) => ({ length: order.note.length })).to(memorySink<{ length: number }>())
  const letters = from(orders).flatMap((order) => [...order.id].map((letter) => ({ letter })))
  isTrue<Same<(typeof letters)['_row'], { letter: string } | undefined>>()
  const through = from(orders).through(anything).through(viaStream<Priced, Row>(duplex))
  isTrue<Same<(typeof through)['_row'], Row | undefined>>()
  from(orders)
    .through(flatMap((order: Order) => [order, order]))
    .through(filter(hasNote))
    .through(map((order) => ({ note: order.note })))

  // @ts-expect-error the transform wants priced orders
  from(orders).through(map((order: Priced) => ({ total: order.total })))
  // @ts-expect-error a number is no row
  from(orders).map((order) => order.qty)
}

export function ends(priced: Sink<Priced>, plain: Sink<{ id: string }>): void {
  from(orders).map(price).to(priced)
  // A sink that needs less takes more.
  from(orders).to(plain)
  // @ts-expect-error the sink needs total
  from(orders).to(priced)
  // @ts-expect-error the sink needs total
  from(orders).to(memorySink<Priced>())
  // @ts-expect-error the function needs total
  from(orders).to(callbackSink((rows: readonly Priced[]) => void rows[0]?.total))
  // @ts-expect-error the key function needs total
  from(orders).to(infinoUploadSink<Priced>({ dataset: 'd', id: (row) => String(row.total) }))

  from(orders).to(callbackSink(async (rows) => void rows[0]?.qty))
  from(orders).to(nullSink())
  from(orders).to(jsonlSink('x.jsonl'))
  from(orders).to(csvSink('x.csv'))
  from(orders).to(infinoUploadSink({ dataset: 'd' }))
  from(csvSource('x.csv')).to(jsonlSink('x.jsonl'))
  from(csvSource<Order>('x.csv')).map(price).to(priced)
  from(jsonlSource('x.jsonl'))
    .filter((row) => row.id !== undefined)
    .to(infinoUploadSink({ dataset: 'd' }))
}
