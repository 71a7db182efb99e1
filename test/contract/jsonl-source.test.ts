import { writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { jsonlSource } from '../../src/sources/jsonl.js'
import { sourceCases } from '../../src/testing/index.js'
import { workFolder } from '../support/folder.js'
import { type Order, orders, stalledBytes, suite } from './suite.js'

const folder = workFolder()
const rows = orders(1000)
const lines = rows.map((row) => `${JSON.stringify(row)}\n`)
const paths = [folder.path('a.jsonl'), folder.path('b.jsonl.gz')]
writeFileSync(paths[0] as string, lines.slice(0, 500).join(''))
writeFileSync(paths[1] as string, gzipSync(lines.slice(500).join('')))
const broken = (name: string, content: string) => {
  writeFileSync(folder.path(name), content)
  return () => jsonlSource(folder.path(name))
}

suite(
  'jsonlSource',
  sourceCases(() => jsonlSource<Order>(paths, { chunkBytes: 4096 }), {
    rows,
    open: folder.openFiles,
    // The gzip file comes out of the decompressor in pieces of its own size.
    aheadBytes: 256 * 1024,
    stalled: () => jsonlSource<Order>(stalledBytes(lines.slice(0, 100).join(''))),
    broken: [
      {
        name: 'no such file',
        make: () => jsonlSource(folder.path('none.jsonl')),
        code: 'ETL_FILE_NOT_FOUND',
      },
      { name: 'a broken line', make: broken('broken.jsonl', '{"a":1}\n{"a":\n'), code: 'ETL_JSON_BROKEN' },
      {
        name: 'a line that is no object',
        make: broken('list.jsonl', '{"a":1}\n[1]\n'),
        code: 'ETL_JSONL_NOT_OBJECT',
      },
    ],
  }),
)
