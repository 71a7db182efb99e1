// Pages to batches: pager and batcher together over pages in memory, and the wait that a window of pages hides.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { rowsOf } from '../lib/shapes.mjs'

const BODY = 3_355_443
const ROWS_MADE = 100_000

const PAGES = [100, 1000, 10_000]
const FRAMES = [
  { label: '500', title: 'frames of 500 rows', rows: 500 },
  { label: '5000', title: 'frames of 5,000 rows', rows: 5000 },
  { label: '3.2mib', title: 'frames of 3.2 MiB', rows: undefined },
]

/** The same pages over and over: `fetch` costs nothing but its promise. */
function pagesInMemory(rows, perPage) {
  const all = [...rowsOf('narrow', ROWS_MADE)]
  const made = Array.from({ length: ROWS_MADE / perPage }, (_, i) =>
    all.slice(i * perPage, (i + 1) * perPage),
  )
  const last = rows / perPage - 1
  return async (position) => ({
    rows: made[position % made.length],
    next: position < last ? position + 1 : undefined,
  })
}

function memoryContenders(perPage, frameRows) {
  return {
    'infino-etl': {
      ours: true,
      settings: 'from(readPages()).to(a body sink that throws its bodies away): JSON Lines, defaults',
      async prepare({ rows, check, sink }) {
        const { from, putRow, readPages, rowsBatch } = await import('../../dist/index.js')
        const fetch = pagesInMemory(rows, perPage)
        const options = {
          name: 'pages',
          first: 0,
          async fetch(position) {
            const page = await fetch(position)
            return { batch: rowsBatch(page.rows), next: page.next, total: rows }
          },
        }
        const source = { name: 'pages', read: (request) => readPages(options, request) }
        const nowhere = {
          name: 'nowhere',
          limits: { rows: frameRows },
          encoder: () => ({
            put(batch, index, _ordinal, into, at) {
              const end = putRow(batch, index, into, at)
              if (end < 0 || end >= into.length) return -1
              into[end] = 10
              return end + 1
            },
          }),
          async write({ body, count }) {
            if (check) sink.lines(Buffer.from(body))
            else sink.count(count)
          },
        }
        return () => from(source).to(nowhere).run()
      },
    },
    'bare loop': {
      settings:
        'one page after the other, JSON.stringify each row onto a string, Buffer.from(string) when the frame is full; no ids, no cursors, no account',
      async prepare({ rows, check, sink }) {
        const fetch = pagesInMemory(rows, perPage)
        return async () => {
          let text = ''
          let count = 0
          const write = async () => {
            const body = Buffer.from(text)
            if (check) sink.lines(body)
            else sink.count(count)
            text = ''
            count = 0
          }
          for (let position = 0; position !== undefined; ) {
            const page = await fetch(position)
            for (const row of page.rows) {
              const line = `${JSON.stringify(row)}\n`
              if (frameRows === undefined && text.length + line.length > BODY) await write()
              text += line
              if (++count === frameRows) await write()
            }
            position = page.next
          }
          if (count > 0) await write()
        }
      },
    },
  }
}

const SERVER = fileURLToPath(new URL('../page-server.mjs', import.meta.url))
const PER_PAGE = 1000
const ANSWER_MS = 50
const SINK_MS = 20

/** Starts the server; `consume(getPage, step)` then runs against it, and `step` is the sink. */
function overHttp(settings, consume, ours = false) {
  return {
    ours,
    settings,
    async prepare({ rows, sink }) {
      const etl = ours ? await import('../../dist/index.js') : undefined
      const server = fork(SERVER, [String(rows / PER_PAGE), String(PER_PAGE), String(ANSWER_MS)])
      const [{ port }] = await once(server, 'message')
      const getPage = async (position, signal) => {
        const answer = await fetch(`http://127.0.0.1:${port}/?page=${position}`, { signal })
        if (!answer.ok) throw new Error(`page ${position}: status ${answer.status}`)
        return answer.json()
      }
      const step = async (page) => {
        sink.rows(page)
        await sleep(SINK_MS)
      }
      return async () => {
        try {
          await consume(getPage, step, etl)
        } finally {
          server.disconnect()
        }
      }
    },
  }
}

function windowOf(window) {
  const consume = async (getPage, step, { readPages, rowsBatch }) => {
    const options = {
      name: 'pages',
      first: 0,
      window,
      following: (position) => position + 1,
      async fetch(position, { signal }) {
        const { rows, next } = await getPage(position, signal)
        return { batch: rowsBatch(rows), next: next ?? undefined }
      },
    }
    for await (const batch of readPages(options)) await step(batch.rows)
  }
  return overHttp(`for await over readPages({ window: ${window}, following }), fetch of Node`, consume, true)
}

async function oneAtATime(getPage, step) {
  for (let position = 0; position !== null; ) {
    const { rows, next } = await getPage(position)
    await step(rows)
    position = next
  }
}

export const cases = [
  ...PAGES.flatMap((perPage) =>
    FRAMES.map(({ label, title, rows }) => ({
      name: `pager-${perPage}-${label}`,
      title: `Pager and batcher, pages of ${perPage.toLocaleString('en')}, ${title}`,
      group: 'paging',
      made: { rows: 600_000, quick: 100_000 },
      contenders: memoryContenders(perPage, rows),
    })),
  ),
  {
    name: 'paging-latency',
    title: `Pages of 1,000 rows, ${ANSWER_MS} ms for each answer and ${SINK_MS} ms for each write`,
    group: 'paging',
    ours: 'infino-etl (window 4)',
    made: { rows: 60 * PER_PAGE, quick: 20 * PER_PAGE },
    contenders: {
      'infino-etl (window 4)': windowOf(4),
      'infino-etl (window 2)': windowOf(2),
      'infino-etl (window 1)': windowOf(1),
      'one page at a time': overHttp('fetch a page, write it, fetch the next; fetch of Node', oneAtATime),
    },
  },
]
