import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rowsBatch } from '../../src/batch.js'
import type { Batch, ReadRequest, RowSink, Source } from '../../src/contracts.js'
import { type Page, type PagerOptions, readPages } from '../../src/pager.js'
import { from } from '../../src/pipeline.js'

interface Numbered {
  readonly n: number
}

/** A server in memory: so many rows in pages of so many, at a position that is a page number. */
function paged(rows: number, perPage: number, extra: Partial<PagerOptions<Numbered, number>> = {}) {
  const log = { fetched: [] as number[], open: 0, most: 0 }
  const options: PagerOptions<Numbered, number> = {
    name: 'paged',
    first: 0,
    fetch: async (position, { signal }) => {
      log.fetched.push(position)
      log.most = Math.max(log.most, ++log.open)
      await new Promise((resolve) => setImmediate(resolve))
      log.open--
      signal.throwIfAborted()
      return pageAt(position, rows, perPage)
    },
    ...extra,
  }
  return { log, options }
}

function pageAt(position: number, rows: number, perPage: number): Page<Numbered, number> {
  const start = position * perPage
  const count = Math.max(0, Math.min(perPage, rows - start))
  const batch = rowsBatch(Array.from({ length: count }, (_, i) => ({ n: start + i })))
  return { batch, next: count === 0 ? undefined : position + 1, fingerprint: `${start}` }
}

async function readAll(options: PagerOptions<Numbered, number>, request: ReadRequest = {}) {
  const batches: Batch<Numbered>[] = []
  for await (const batch of readPages(options, request)) batches.push(batch)
  return { batches, rows: batches.flatMap((batch) => batch.rows.map((row) => row.n)) }
}

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)
const following = (position: number) => position + 1

describe('readPages', () => {
  it('gives all rows in order, whatever the window, the order of answers and where it is resumed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(60),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 5 }),
        fc.boolean(),
        fc.infiniteStream(fc.nat(3)),
        async (rows, perPage, window, known, delays) => {
          const fetch: PagerOptions<Numbered, number>['fetch'] = async (position) => {
            for (let turns = delays.next().value as number; turns > 0; turns--) {
              await new Promise((resolve) => setImmediate(resolve))
            }
            return pageAt(position, rows, perPage)
          }
          const { options } = paged(rows, perPage, { window, fetch, ...(known ? { following } : {}) })
          const whole = await readAll(options)
          expect(whole.rows).toEqual(upTo(rows))
          for (const [index, batch] of whole.batches.entries()) {
            const before = whole.batches
              .slice(0, index + 1)
              .flatMap((given) => given.rows.map((row) => row.n))
            const after = await readAll(options, { from: batch.cursor })
            expect([...before, ...after.rows]).toEqual(upTo(rows))
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  it('fetches nothing ahead with a window of 1, and never more than the window allows', async () => {
    for (const window of [1, 2, 4]) {
      const { options, log } = paged(100, 10, { window, following })
      let handed = 0
      for await (const batch of readPages(options)) {
        handed++
        expect(batch.rows.length).toBeLessThanOrEqual(10)
        expect(log.fetched.length - handed).toBeLessThanOrEqual(window - 1)
      }
      expect(log.most).toBeLessThanOrEqual(window)
      if (window > 1) expect(log.most).toBe(window)
    }
  })

  it('reads the next page while the consumer works on this one, also when only the answer tells where it is', async () => {
    const { options, log } = paged(30, 10, { window: 2 })
    for await (const batch of readPages(options)) {
      const seen = log.fetched.length
      for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve))
      if (batch.rows[0]?.n === 0) expect(Math.max(seen, log.fetched.length)).toBe(2)
    }
  })

  it('holds no more pages than the bytes allow, but always one', async () => {
    const { options, log } = paged(50, 10, { window: 5, following, aheadBytes: 1 })
    let handed = 0
    for await (const _ of readPages(options)) {
      handed++
      for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve))
      if (handed > 1) expect(log.fetched.length - handed).toBeLessThanOrEqual(5)
    }
    expect(handed).toBe(6)
  })

  it('ends in an error on a cycle of any length', async () => {
    for (const length of [1, 2, 3, 7]) {
      for (const window of [1, 3]) {
        const { options } = paged(1000, 5, { window })
        const circular: typeof options = {
          ...options,
          fetch: async (position, context) => {
            const page = await options.fetch(position, context)
            return { ...page, next: (position + 1) % length, fingerprint: undefined }
          },
        }
        await expect(readAll(circular)).rejects.toMatchObject({
          code: 'ETL_PAGE_CYCLE',
          context: { page: length + 1 },
        })
      }
    }
  })

  it('ends in an error when the server ignores the position and sends an earlier page again', async () => {
    const { options } = paged(1000, 5)
    const ignoring = {
      ...options,
      fetch: async (position: number) => ({ ...pageAt(0, 1000, 5), next: position + 1 }),
    }
    await expect(readAll(ignoring)).rejects.toMatchObject({ code: 'ETL_PAGE_REPEATED', context: { page: 2 } })
  })

  it('does not take an empty page for the end when a later one has rows', async () => {
    const { options } = paged(50, 10, { window: 4, following })
    const holed: typeof options = {
      ...options,
      fetch: async (position) => (position === 2 ? { batch: rowsBatch([]) } : pageAt(position, 50, 10)),
    }
    await expect(readAll(holed)).rejects.toMatchObject({ code: 'ETL_PAGE_GAP' })
  })

  it('passes on an empty page that names a next one', async () => {
    const { options } = paged(30, 10)
    const holed: typeof options = {
      ...options,
      fetch: async (position) =>
        position === 1 ? { batch: rowsBatch([]), next: 2 } : pageAt(position, 30, 10),
    }
    expect((await readAll(holed)).rows).toEqual(upTo(30).filter((n) => n < 10 || n >= 20))
  })

  it('tells where it failed, and asks for nothing beyond', async () => {
    const { options, log } = paged(100, 10, { window: 3, following })
    const failing: typeof options = {
      ...options,
      fetch: (position, context) => {
        if (position === 4) return Promise.reject(new Error('reset'))
        return options.fetch(position, context)
      },
    }
    const rows: number[] = []
    const read = async () => {
      for await (const batch of readPages(failing)) rows.push(...batch.rows.map((row) => row.n))
    }
    await expect(read()).rejects.toMatchObject({ code: 'ETL_PAGE', message: 'paged, page 5: reset' })
    expect(rows).toEqual(upTo(40))
    expect(Math.max(...log.fetched)).toBeLessThanOrEqual(6)
  })

  it('cuts off what it read ahead when the consumer leaves', async () => {
    let aborted = 0
    const { options } = paged(1000, 10, { window: 4, following })
    const slow: typeof options = {
      ...options,
      fetch: (position, { signal }) =>
        position === 0
          ? Promise.resolve(pageAt(0, 1000, 10))
          : new Promise((_, reject) =>
              signal.addEventListener('abort', () => {
                aborted++
                reject(signal.reason)
              }),
            ),
    }
    for await (const _ of readPages(slow)) break
    expect(aborted).toBe(3)
  })
})

function source(options: PagerOptions<Numbered, number>): Source<Numbered> {
  return { name: 'paged', read: (request) => readPages(options, request) }
}

function counting(): RowSink<Numbered> & { rows: number } {
  const sink = {
    name: 'counting',
    rows: 0,
    write: async (frame: { rows: readonly unknown[] }) => {
      sink.rows += frame.rows.length
      return undefined
    },
  }
  return sink
}

describe('a run over pages', () => {
  const withTotal = (total: number) => {
    const { options } = paged(35, 10)
    return { ...options, fetch: async (position: number) => ({ ...pageAt(position, 35, 10), total }) }
  }

  it('is proven when the declared total came, and fails when it did not', async () => {
    const report = await from(source(withTotal(35)))
      .to(counting())
      .run()
    expect(report.completeness).toEqual({ kind: 'proven' })
    for (const lie of [34, 36]) {
      const run = from(source(withTotal(lie)))
        .to(counting())
        .run()
      await expect(run).rejects.toMatchObject({ code: 'ETL_SOURCE_INCOMPLETE' })
    }
  })

  it('is unproven without a total', async () => {
    const report = await from(source(paged(35, 10).options))
      .to(counting())
      .run()
    expect(report.completeness).toEqual({ kind: 'unproven' })
  })

  it('says what cut it short: pages, bytes or rows', async () => {
    const cases = [
      { extra: { maxPages: 2 }, reason: 'pages', rows: 20 },
      { extra: { maxBytes: 1 }, reason: 'bytes', rows: 10 },
    ]
    for (const { extra, reason, rows } of cases) {
      const sink = counting()
      const report = await from(source(paged(35, 10, extra).options))
        .to(sink)
        .run()
      expect([report.completeness, sink.rows]).toEqual([{ kind: 'truncated', reason }, rows])
    }
    const sink = counting()
    const { options, log } = paged(1000, 10)
    const report = await from(source(options)).to(sink).run({ limit: 25 })
    expect([report.completeness, sink.rows]).toEqual([{ kind: 'truncated', reason: 'limit' }, 25])
    expect(log.fetched.length).toBeLessThanOrEqual(4)
  })

  it('reads a local server, several pages at once', async () => {
    let open = 0
    let most = 0
    const server = createServer((request, response) => {
      most = Math.max(most, ++open)
      const position = Number(new URL(request.url ?? '/', 'http://local').searchParams.get('page'))
      setImmediate(() => {
        open--
        response.end(JSON.stringify({ rows: pageAt(position, 95, 10).batch.rows, total: 95 }))
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      const { port } = server.address() as AddressInfo
      const options: PagerOptions<Numbered, number> = {
        name: 'local',
        first: 0,
        following,
        window: 4,
        fetch: async (position, { signal }) => {
          const answer = await fetch(`http://127.0.0.1:${port}/?page=${position}`, { signal })
          const { rows, total } = (await answer.json()) as { rows: Numbered[]; total: number }
          return { batch: rowsBatch(rows), total, next: rows.length === 0 ? undefined : position + 1 }
        },
      }
      const sink = counting()
      const report = await from(source(options)).to(sink).run()
      expect([sink.rows, report.completeness.kind]).toEqual([95, 'proven'])
      expect(most).toBeGreaterThan(1)
    } finally {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  })
})
