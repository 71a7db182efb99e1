import { writeFileSync } from 'node:fs'
import { csvSource } from '../../src/sources/csv.js'
import { sourceCases } from '../../src/testing/index.js'
import { workFolder } from '../support/folder.js'
import { type Order, orders, stalledBytes, suite } from './suite.js'

const folder = workFolder()
const rows = orders(1000)
const head = 'id,customer,note,price,paid\n'
const text =
  head +
  rows
    .map(({ id, customer, note, price, paid }) => {
      const quoted = (value: string) => `"${value.replaceAll('"', '""')}"`
      return `${id},${quoted(customer)},${note === null ? '' : quoted(note)},${price},${paid}\n`
    })
    .join('')
const half = text.indexOf('\n500,') + 1
const paths = [folder.path('a.csv'), folder.path('b.csv')]
writeFileSync(paths[0] as string, text.slice(0, half))
writeFileSync(paths[1] as string, head + text.slice(half))
const broken = (name: string, content: string) => {
  writeFileSync(folder.path(name), content)
  return () => csvSource(folder.path(name))
}

suite(
  'csvSource',
  sourceCases(() => csvSource<Order>(paths, { chunkBytes: 4096 }), {
    rows,
    open: folder.openFiles,
    aheadBytes: 64 * 1024,
    stalled: () => csvSource<Order>(stalledBytes(text.slice(0, half)), { sampleAgeMs: 0 }),
    broken: [
      { name: 'no such file', make: () => csvSource(folder.path('none.csv')), code: 'ETL_FILE_NOT_FOUND' },
      { name: 'an empty file', make: broken('empty.csv', ''), code: 'ETL_FILE_EMPTY' },
      {
        name: 'a quote that is never closed',
        make: broken('open.csv', 'a,b\n1,"2\n'),
        code: 'ETL_CSV_UNCLOSED_QUOTE',
      },
      {
        name: 'a row with a cell too many',
        make: broken('ragged.csv', 'a,b\n1,2,3\n'),
        code: 'ETL_CSV_COLUMNS',
      },
    ],
  }),
)
