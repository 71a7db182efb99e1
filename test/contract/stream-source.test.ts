import { PassThrough, Readable } from 'node:stream'
import { fromReadable } from '../../src/interop.js'
import { sourceCases } from '../../src/testing/index.js'
import { type Order, orders, suite } from './suite.js'

const rows = orders(1000)
const open = new Set<Readable>()
const opened = () => {
  const stream = Readable.from(rows)
  open.add(stream)
  stream.once('close', () => open.delete(stream))
  return stream
}

suite(
  'fromReadable',
  sourceCases(() => fromReadable<Order>(opened, { batchRows: 50 }), {
    rows,
    resumable: false,
    open: () => open.size,
    aheadBytes: 64 * 1024,
    stalled: () => fromReadable<Order>(() => new PassThrough({ objectMode: true })),
    broken: [
      {
        name: 'a stream of bytes',
        make: () => fromReadable(Readable.from([Buffer.from('{}')])),
        code: 'ETL_STREAM_BYTES',
      },
      {
        name: 'a chunk that is no object',
        make: () => fromReadable(() => Readable.from([1])),
        code: 'ETL_STREAM_NOT_ROW',
      },
    ],
  }),
)
