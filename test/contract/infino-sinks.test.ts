import { afterAll } from 'vitest'
import type { Sink } from '../../src/contracts.js'

import { infinoImportSink } from '../../src/sinks/infino-import.js'
import { infinoUploadSink } from '../../src/sinks/infino-upload.js'
import { type Destination, sinkCases } from '../../src/testing/index.js'
import { type InfinoFake, startInfinoFake } from '../support/infino-fake.js'
import { type Order, orders, suite } from './suite.js'

const rows = orders(200)
const dataset = 'orders'

async function destination(
  make: (fake: InfinoFake) => Sink<Order>,
  refuses = false,
): Promise<Destination<Order>> {
  const fake = await startInfinoFake()
  return {
    sink: () => make(fake),
    read: () => fake.rows(dataset),
    stall() {
      const silence = Array.from({ length: 100 }, () => ({ hang: 'before' as const }))
      fake.fault('upload', ...silence)
      fake.fault('import', ...silence)
    },
    arrangeRejects(_count, bad) {
      if (refuses) fake.fault('upload', { items: Object.fromEntries(bad.map((index) => [index, 400])) })
    },
    dispose: () => fake.close(),
  }
}

const keys = ({ endpoint, accessKey, secretKey }: InfinoFake) => ({ dataset, endpoint, accessKey, secretKey })
const guarded = await startInfinoFake()
afterAll(() => guarded.close())
const wrongKeys = { ...keys(guarded), secretKey: 'not-the-key' }

suite(
  'infinoUploadSink',
  sinkCases(() => destination((fake) => infinoUploadSink<Order>(keys(fake)), true), {
    rows,
    ordered: false,
    rejects: { rows: [{ ...(rows[0] as Order), id: -1 }], code: 'ETL_INFINO_REFUSED' },
    broken: { make: () => infinoUploadSink<Order>(wrongKeys), code: 'ETL_INFINO_UNAUTHORIZED' },
  }),
)

suite(
  'infinoUploadSink with ids of its own',
  sinkCases(() => destination((fake) => infinoUploadSink<Order>({ ...keys(fake), id: 'id' })), {
    rows,
    ordered: false,
    rejects: {
      rows: [{ ...(rows[0] as Order), id: null as unknown as number }],
      code: 'ETL_SINK_ID_MISSING',
    },
  }),
)

const quick = { settleMs: 20, pollMs: 10, pollDeadlineMs: 2000 }
suite(
  'infinoImportSink',
  sinkCases(() => destination((fake) => infinoImportSink<Order>({ ...keys(fake), ...quick })), {
    rows,
    broken: {
      make: () => infinoImportSink<Order>({ ...wrongKeys, ...quick }),
      code: 'ETL_INFINO_UNAUTHORIZED',
    },
  }),
)
