import { writeFileSync } from 'node:fs'
import { jsonSource } from '../../src/sources/json.js'
import { sourceCases } from '../../src/testing/index.js'
import { workFolder } from '../support/folder.js'
import { type Order, orders, stalledBytes, suite } from './suite.js'

const folder = workFolder()
const rows = orders(1000)
const path = folder.path('orders.json')
writeFileSync(path, JSON.stringify({ count: rows.length, data: { orders: rows } }, null, 1))
const broken = (name: string, content: string) => {
  writeFileSync(folder.path(name), content)
  return () => jsonSource(folder.path(name))
}

suite(
  'jsonSource',
  sourceCases(() => jsonSource<Order>(path, { path: 'data.orders', chunkBytes: 4096 }), {
    rows,
    open: folder.openFiles,
    aheadBytes: 64 * 1024,
    stalled: () => jsonSource<Order>(stalledBytes(JSON.stringify(rows.slice(0, 100)).slice(0, -1))),
    broken: [
      { name: 'no such file', make: () => jsonSource(folder.path('none.json')), code: 'ETL_FILE_NOT_FOUND' },
      { name: 'broken JSON', make: broken('broken.json', '[{"a":1},{"a":]'), code: 'ETL_JSON_BROKEN' },
      { name: 'no array at the top', make: broken('object.json', '{"a":1}'), code: 'ETL_JSON_NOT_ARRAY' },
      {
        name: 'an element that is no object',
        make: broken('number.json', '[{"a":1},2]'),
        code: 'ETL_JSON_NOT_OBJECT',
      },
    ],
  }),
)
