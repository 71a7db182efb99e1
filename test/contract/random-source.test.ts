import { randomSource } from '../../src/sources/random.js'
import { sourceCases } from '../../src/testing/index.js'
import { suite } from './suite.js'

const options = { rows: 1234, columns: 8, seed: 3, batchRows: 50 }
const rows = []
for await (const batch of randomSource(options).read({})) rows.push(...batch.rows)

suite(
  'randomSource',
  sourceCases(() => randomSource(options), { rows, open: () => 0, aheadBytes: 64 * 1024 }),
)
suite(
  'randomSource in parts',
  sourceCases(() => randomSource({ ...options, partitions: 4 }), { rows }),
)
