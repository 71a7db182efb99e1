import { Transform } from 'node:stream'
import { viaStream } from '../../src/interop.js'
import { transformCases } from '../../src/testing/index.js'
import { filter } from '../../src/transforms/filter.js'
import { flatMap } from '../../src/transforms/flat-map.js'
import { map } from '../../src/transforms/map.js'
import { type Order, orders, suite } from './suite.js'

const input = orders(60)
const bad = { ...(input[0] as Order), customer: 'bad' }
const rejects = { row: bad, code: 'ETL_TRANSFORM_THREW' }
const mustBeGood = (order: Order): void => {
  if (order.customer === 'bad') throw new Error('bad order')
}

const total = (order: Order) => {
  mustBeGood(order)
  return { ...order, total: order.price * 2 }
}
suite(
  'map',
  transformCases(() => map(total), { input, output: input.map(total), rejects }),
)

const isPaid = (order: Order) => {
  mustBeGood(order)
  return order.paid
}
suite(
  'filter',
  transformCases(() => filter(isPaid), { input, output: input.filter(isPaid), rejects }),
)

const parts = (order: Order) => {
  mustBeGood(order)
  return Array.from({ length: order.id % 4 }, (_, part) => ({ id: order.id, part }))
}
suite(
  'flatMap',
  transformCases(() => flatMap(parts), { input, output: input.flatMap(parts), rejects }),
)

const doubling = () =>
  new Transform({
    objectMode: true,
    transform(order: Order, _encoding, done) {
      this.push({ id: order.id })
      this.push({ id: -order.id })
      done()
    },
  })
const output = input.flatMap(({ id }) => [{ id }, { id: -id }])
suite(
  'viaStream',
  transformCases(() => viaStream<Order, { id: number }>(doubling), { input, output }),
)
