import { existsSync, readFileSync } from 'node:fs'
import type { Sink } from '../../src/contracts.js'
import { csvSink } from '../../src/sinks/csv.js'
import { jsonlSink } from '../../src/sinks/jsonl.js'
import { csvSource } from '../../src/sources/csv.js'
import { type Destination, sinkCases } from '../../src/testing/index.js'
import { workFolder } from '../support/folder.js'
import { type Order, orders, suite } from './suite.js'

const folder = workFolder()
const rows = orders(200)
let count = 0

function destination(
  sink: (path: string) => Sink<Order>,
  read: (path: string) => Promise<unknown[]>,
): Destination<Order> {
  const path = folder.path(`out-${count++}`)
  return {
    sink: () => sink(path),
    read: async () => (existsSync(path) ? read(path) : []),
    open: folder.openFiles,
  }
}

const readJsonl = async (path: string) =>
  readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown)

const readCsv = async (path: string) => {
  if (readFileSync(path).length === 0) return []
  const got: unknown[] = []
  for await (const batch of csvSource(path).read({})) got.push(...batch.rows)
  return got
}

const cyclic: Record<string, unknown> = { id: -1 }
cyclic.self = cyclic

suite(
  'jsonlSink',
  sinkCases(() => destination((path) => jsonlSink(path), readJsonl), {
    rows,
    rejects: { rows: [cyclic as unknown as Order], code: 'ETL_ROW_UNSERIALISABLE' },
    broken: { make: () => jsonlSink(folder.path('none/out.jsonl')), code: 'ETL_FILE_NOT_FOUND' },
  }),
)

suite(
  'jsonlSink, appending',
  sinkCases(() => destination((path) => jsonlSink(path, { append: true }), readJsonl), { rows }),
)

suite(
  'csvSink',
  sinkCases(() => destination((path) => csvSink<Order>(path), readCsv), {
    rows,
    rejects: { rows: [{ ...rows[0], more: 1 } as unknown as Order], code: 'ETL_CSV_COLUMNS' },
    broken: { make: () => csvSink<Order>(folder.path('none/out.csv')), code: 'ETL_FILE_NOT_FOUND' },
  }),
)
