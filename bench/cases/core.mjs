// The core alone: pages that are in memory, three transforms, batches of 1,000, and a sink that throws them away.
import { Readable, Transform, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { rowsOf } from '../lib/shapes.mjs'

const PAGE = 1000
const PAGES_MADE = 100

/** A page over and over: rows cost nothing to make, so that the core is what is measured. */
function* pagesOf(rows, made) {
  for (let at = 0; at < rows; at += PAGE) yield made[(at / PAGE) % made.length]
}

function makePages() {
  const rows = [...rowsOf('narrow', PAGE * PAGES_MADE)]
  return Array.from({ length: PAGES_MADE }, (_, i) => rows.slice(i * PAGE, (i + 1) * PAGE))
}

const total = (row) => ({ id: row.id, country: row.country, total: row.qty * row.price, paid: row.paid })
const large = (row) => row.total > 100
const label = (row) => ({ id: row.id, total: row.total, label: row.paid ? row.country : 'open' })

const contenders = {
  'infino-etl': {
    ours: true,
    settings: 'from(source).map().filter().map().to(sink with limits { rows: 1000 })',
    async prepare({ rows, sink }) {
      const { from, rowsBatch } = await import('../../dist/index.js')
      const made = makePages()
      const source = {
        name: 'pages',
        async *read() {
          for (const page of pagesOf(rows, made)) yield rowsBatch(page)
        },
      }
      const nowhere = {
        name: 'nowhere',
        limits: { rows: PAGE },
        async write(frame) {
          sink.rows(frame.rows)
        },
      }
      return () => from(source).map(total).filter(large).map(label).to(nowhere).run()
    },
  },
  'object-mode streams': {
    settings:
      'Readable.from(rows), three Transforms and a batching one in object mode, a Writable; highWaterMark 1000',
    async prepare({ rows, sink }) {
      const made = makePages()
      const options = { objectMode: true, highWaterMark: PAGE }
      const mapping = (fn) =>
        new Transform({ ...options, transform: (row, _encoding, done) => done(null, fn(row)) })
      return () => {
        let batch = []
        function* each() {
          for (const page of pagesOf(rows, made)) yield* page
        }
        return pipeline(
          Readable.from(each(), options),
          mapping(total),
          new Transform({
            ...options,
            transform: (row, _encoding, done) => (large(row) ? done(null, row) : done()),
          }),
          mapping(label),
          new Transform({
            ...options,
            transform(row, _encoding, done) {
              batch.push(row)
              if (batch.length < PAGE) return done()
              const full = batch
              batch = []
              done(null, full)
            },
            flush: (done) => (batch.length > 0 ? done(null, batch) : done()),
          }),
          new Writable({
            ...options,
            write(rows, _encoding, done) {
              sink.rows(rows)
              done()
            },
          }),
        )
      }
    },
  },
  'object-mode streams of arrays': {
    settings: 'the same, but each chunk is an array of 1,000 rows',
    async prepare({ rows, sink }) {
      const made = makePages()
      const options = { objectMode: true }
      const mapping = (fn) =>
        new Transform({ ...options, transform: (page, _encoding, done) => done(null, fn(page)) })
      return () => {
        let waiting = []
        return pipeline(
          Readable.from(pagesOf(rows, made), options),
          mapping((page) => page.map(total)),
          mapping((page) => page.filter(large)),
          mapping((page) => page.map(label)),
          new Transform({
            ...options,
            transform(page, _encoding, done) {
              waiting = waiting.length === 0 ? page : waiting.concat(page)
              while (waiting.length >= PAGE) {
                this.push(waiting.slice(0, PAGE))
                waiting = waiting.slice(PAGE)
              }
              done()
            },
            flush: (done) => (waiting.length > 0 ? done(null, waiting) : done()),
          }),
          new Writable({
            ...options,
            write(rows, _encoding, done) {
              sink.rows(rows)
              done()
            },
          }),
        )
      }
    },
  },
  'array passes by hand': {
    settings: 'page.map().filter().map() in a loop, rows pushed into arrays of 1,000',
    async prepare({ rows, sink }) {
      const made = makePages()
      return () => {
        let batch = []
        for (const page of pagesOf(rows, made)) {
          for (const row of page.map(total).filter(large).map(label)) {
            batch.push(row)
            if (batch.length < PAGE) continue
            sink.rows(batch)
            batch = []
          }
        }
        if (batch.length > 0) sink.rows(batch)
      }
    },
  },
}

export const cases = [
  {
    name: 'core',
    title: 'The core alone, batches of 1,000',
    group: 'core',
    // Rows are counted where they enter: a fourth of them or so does not pass the filter.
    made: { rows: 3_000_000, quick: 400_000 },
    contenders,
  },
]
