import { EtlError } from '../../src/errors.js'
import { callbackSink } from '../../src/sinks/callback.js'
import { memorySink } from '../../src/sinks/memory.js'
import { nullSink } from '../../src/sinks/null.js'
import { type Destination, sinkCases } from '../../src/testing/index.js'
import { type Order, orders, suite } from './suite.js'

const rows = orders(200)

/** A store that keeps orders by their ordinal, refuses orders without a customer, and may fall silent. */
function store(): Destination<Order> {
  const kept = new Map<number, Order>()
  let silent = false
  const sink = callbackSink<Order>(async (given, { ordinalAt, signal }) => {
    if (silent) {
      await new Promise((_, reject) =>
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true }),
      )
    }
    const failures = given.flatMap((order, index) => {
      if (order.customer === '') {
        return [{ index, verdict: 'never' as const, code: 'ETL_TEST_CUSTOMER', reason: 'no customer' }]
      }
      kept.set(ordinalAt(index), order)
      return []
    })
    return { failures }
  })
  return {
    sink: () => sink,
    read: () => [...kept.values()],
    stall: () => {
      silent = true
    },
  }
}

suite(
  'callbackSink',
  sinkCases(store, {
    rows,
    rejects: { rows: [{ ...(rows[0] as Order), customer: '' }], code: 'ETL_TEST_CUSTOMER' },
    broken: {
      make: () => callbackSink<Order>(() => Promise.reject(new EtlError('ETL_TEST_FAULT', 'down'))),
      code: 'ETL_TEST_FAULT',
    },
  }),
)

suite(
  'memorySink',
  sinkCases(
    () => {
      const sink = memorySink<Order>()
      return { sink: () => sink, read: () => sink.rows }
    },
    { rows },
  ),
)

suite(
  'nullSink',
  sinkCases<Order>(() => ({ sink: nullSink }), { rows }),
)
