import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Clock, Logger } from '../../src/contracts.js'
import { EtlError, isEtlError } from '../../src/errors.js'
import { infinoClient } from '../../src/infino/client.js'
import type { InfinoClient, InfinoOptions } from '../../src/infino/types.js'
import { type FakeCall, type Fault, type InfinoFake, startInfinoFake } from '../support/infino-fake.js'

let fake: InfinoFake
const clients: InfinoClient[] = []
/** Waits end at once and are noted. */
const waits: number[] = []
const clock: Clock = {
  now: () => Date.now(),
  sleep: async (ms) => {
    waits.push(ms)
  },
}

beforeEach(async () => {
  fake = await startInfinoFake()
  waits.length = 0
})
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
  await fake.close()
})

function open(options: InfinoOptions = {}): InfinoClient {
  const { endpoint, accessKey, secretKey } = fake
  const client = infinoClient({ endpoint, accessKey, secretKey, clock, random: () => 0.5, ...options })
  clients.push(client)
  return client
}

async function failureOf(promise: Promise<unknown>): Promise<EtlError> {
  try {
    await promise
  } catch (error) {
    if (isEtlError(error)) return error
    throw error
  }
  throw new Error('expected a failure')
}

const ndjson = (...lines: unknown[]) => Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''))

describe('datasets', () => {
  it('are created, listed, described and deleted, with signatures the server checks', async () => {
    const infino = open()
    expect(await infino.ping()).toEqual({ version: '2025-06-30' })
    expect(await infino.datasets.create('orders')).toEqual({ existed: false })
    await infino.upload('orders', ndjson({ index: { _id: '1' } }, { qty: 2 }), 1)
    expect(await infino.datasets.list()).toMatchObject([{ index: 'orders', 'docs.count': '1' }])
    expect(await infino.datasets.metadata('orders')).toMatchObject({ index: 'orders' })
    expect(await infino.datasets.schema('orders')).toMatchObject({ qty: { infino_type: 'Integer' } })
    await infino.datasets.delete('orders')
    expect(fake.datasets.size).toBe(0)
    expect((await failureOf(infino.datasets.delete('orders'))).code).toBe('ETL_INFINO_NOT_FOUND')
  })

  it('that exist already are a success of create', async () => {
    const infino = open()
    await infino.datasets.create('orders')
    expect(await infino.datasets.create('orders')).toEqual({ existed: true })
  })

  it('are deleted once when the reply to the first try is lost', async () => {
    const infino = open()
    await infino.datasets.create('orders')
    fake.fault('delete', { lose: 'reply' })
    await infino.datasets.delete('orders')
    expect(fake.requests.filter((request) => request.call === 'delete')).toHaveLength(2)
  })

  it('have names that stand in a path as they are', async () => {
    const infino = open()
    for (const name of ['', 'Orders', '_x', 'a/b', 'a?b', 'sql', 'import', 'metadata', '..', 'ü', 'a b', 7])
      expect((await failureOf(infino.datasets.create(name as string))).code).toBe('ETL_INFINO_DATASET_NAME')
    for (const name of ['orders.rel', 'a_b-c.1', '0'])
      expect(await infino.datasets.create(name)).toEqual({ existed: false })
  })
})

describe('an upload', () => {
  it('gives the refused actions by position, for now or for good', async () => {
    const infino = open()
    await infino.datasets.create('d')
    fake.fault('upload', { items: { 1: 429, 3: 400, 4: 503 } })
    const lines = [0, 1, 2, 3, 4].flatMap((n) => [{ index: { _id: String(n) } }, { n }])
    expect(await infino.upload('d', ndjson(...lines), 5)).toMatchObject([
      { index: 1, status: 429, verdict: 'again' },
      { index: 3, status: 400, verdict: 'never', reason: 'mapper_parsing_exception: slow down' },
      { index: 4, status: 503, verdict: 'again' },
    ])
    expect([...fake.datasets.get('d')!.keys()]).toEqual(['0', '2'])
  })

  it('counts an item without status as stored, and one with an error but without status as refused', async () => {
    const infino = open()
    await infino.datasets.create('d')
    const items = [{ index: { _id: '1', result: 'created' } }, { create: { error: 'no' } }]
    fake.fault('upload', { reply: () => ({ took: 1, errors: true, items }) })
    const body = ndjson({ index: {} }, {}, { index: {} }, {})
    expect(await infino.upload('d', body, 2)).toMatchObject([{ index: 1, verdict: 'never', reason: 'no' }])
  })

  it('counts what is to be deleted and is not there as deleted', async () => {
    const infino = open()
    await infino.datasets.create('d')
    expect(await infino.upload('d', ndjson({ delete: { _id: 'x' } }), 1)).toEqual([])
  })

  const unknown: [string, Fault][] = [
    ['fewer items than rows', { missingItems: 1 }],
    ['an HTML page', { body: '<html><title>Gateway</title>' }],
    ['an empty body', { body: '' }],
    ['a list', { body: '[]' }],
    ['an item that is none', { reply: () => ({ errors: false, items: ['ok'] }) }],
    ['errors without an item that failed', { reply: () => ({ errors: true, items: [{ index: {} }] }) }],
    ['half a reply', { cutReply: true }],
    ['a lost reply', { lose: 'reply' }],
    ['a cut body', { lose: 'body' }],
    ['a reset', { lose: 'request' }],
    ['500', { status: 500 }],
    ['an error of now', { body: '{"error":{"type":"busy","reason":"later"},"status":503}' }],
  ]
  for (const [what, fault] of unknown)
    it(`answered by ${what} may be sent again whole`, async () => {
      const infino = open()
      await infino.datasets.create('d')
      fake.fault('upload', fault)
      const failure = await failureOf(infino.upload('d', ndjson({ index: {} }, {}), 1))
      expect(failure.verdict).toBe('again')
      expect(failure.message).not.toContain('<html')
    })

  it('is not sent twice by the client', async () => {
    const infino = open()
    await infino.datasets.create('d')
    fake.fault('upload', { status: 503, retryAfter: '7' })
    const failure = await failureOf(infino.upload('d', ndjson({ index: {} }, {}), 1))
    expect(failure.retryAfterMs).toBe(7000)
    expect(failure.context.status).toBe(503)
    expect(fake.requests.filter((request) => request.call === 'upload')).toHaveLength(1)
  })

  it('that is too large or malformed wants to be cut', async () => {
    const infino = open()
    await infino.datasets.create('d')
    const large = ndjson({ index: {} }, { text: 'x'.repeat(5_000_000) })
    expect((await failureOf(infino.upload('d', large, 1))).verdict).toBe('split')
    const broken = Buffer.from('{"index":{}}\n{"a":\n')
    expect(await failureOf(infino.upload('d', broken, 1))).toMatchObject({
      verdict: 'split',
      context: { status: 400 },
    })
  })
})

describe('a file import', () => {
  it('sends the fields in order and the file last, unsigned and anew each time', async () => {
    const infino = open()
    const file = [Buffer.from('{"a":1}\n'), Buffer.from('{"a":2}\n')]
    const run = await infino.importFile({ dataset: 'd', format: 'jsonl', file, batchRows: 500 })
    expect(run).toMatchObject({ status: 'completed', processed: 2, failed: 0, errors: [] })
    const [request] = fake.requests
    expect(request!.target).toBe('/import/file?async=false')
    expect(request!.headers['x-amz-content-sha256']).toBe('UNSIGNED-PAYLOAD')
    expect(request!.headers['content-length']).toBe(String(request!.body.length))
    const names = [...request!.body.toString().matchAll(/name="(\w+)"/g)].map((match) => match[1])
    expect(names.filter((name) => name !== 'data')).toEqual(['index_name', 'format', 'batch_size', 'file'])
    expect(request!.body.toString()).toContain('filename="data.jsonl"\r\nContent-Type: application/x-ndjson')
    expect(fake.rows('d')).toEqual([{ a: 1 }, { a: 2 }])
  })

  it('takes a function that opens the file, and follows a run until its end', async () => {
    const infino = open()
    async function* file() {
      yield Buffer.from('[{"a":1}]')
    }
    const run = await infino.importFile({ dataset: 'd', format: 'json', file, fileBytes: 9, async: true })
    expect(run).toMatchObject({ status: 'submitted', processed: undefined })
    expect(await infino.job(run.runId!)).toMatchObject({ status: 'running', processed: undefined })
    expect(await infino.job(run.runId!)).toMatchObject({
      status: 'completed',
      processed: 1,
      runId: run.runId,
    })
  })
})

describe('reading back', () => {
  it('finds a record by any id, and nothing where there is none', async () => {
    const infino = open()
    await infino.datasets.create('d')
    const id = 'a/b c;d=1?ü+%'
    await infino.upload('d', ndjson({ index: { _id: id } }, { n: 1 }), 1)
    expect(await infino.record('d', id)).toMatchObject({ _source: { n: 1 } })
    expect(await infino.record('d', 'none')).toBeUndefined()
  })

  it('counts hits whether the total is an object or a number', async () => {
    const infino = open()
    await infino.datasets.create('d')
    await infino.upload('d', ndjson({ index: {} }, {}, { index: {} }, {}), 2)
    expect(await infino.count('d')).toBe(2)
    fake.fault('query', { reply: () => ({ hits: { total: 7 } }) })
    expect(await infino.count('d')).toBe(7)
    expect(await infino.queryDsl('d', { query: { match_all: {} }, size: 1 })).toMatchObject({
      hits: { total: { value: 2 } },
    })
  })

  it('says how many records a query deleted, in both shapes', async () => {
    const infino = open()
    await infino.datasets.create('d')
    await infino.upload('d', ndjson({ index: {} }, {}), 1)
    expect(await infino.deleteByQuery('d', { query: { match_all: {} } })).toEqual({ deleted: 1 })
    fake.fault('deleteByQuery', { reply: () => ({ took: 1, deleted: 3, failures: [] }) })
    expect(await infino.deleteByQuery('d', {})).toEqual({ deleted: 3 })
  })

  it('asks again after a failure for now, waits as asked, and gives up in the end', async () => {
    const infino = open({ retry: { attempts: 3 } })
    fake.fault('sql', { status: 429, retryAfter: '2' }, { lose: 'reply' })
    expect((await infino.sql('SELECT 1')).rows).toEqual([{ n: 1 }])
    expect(waits).toEqual([2100, 500])
    fake.fault('sql', { status: 500 }, { status: 502 }, { status: 504 })
    expect(await failureOf(infino.sql('select 1'))).toMatchObject({
      code: 'ETL_RETRIES_EXHAUSTED',
      context: { status: 504 },
    })
  })

  it('does not repeat a statement that may have written', async () => {
    const infino = open()
    fake.fault('sql', { status: 429 }, { lose: 'reply' })
    const failure = await failureOf(infino.sql("INSERT INTO d VALUES ('select')"))
    expect(failure.message).toContain('may have taken effect')
    expect(fake.requests.filter((request) => request.call === 'sql')).toHaveLength(2)
  })
})

describe('options', () => {
  const names = ['INFINO_ENDPOINT', 'INFINO_ACCESS_KEY', 'INFINO_SECRET_KEY'] as const
  const before = names.map((name) => process.env[name])
  afterEach(() => {
    names.forEach((name, i) => {
      if (before[i] === undefined) delete process.env[name]
      else process.env[name] = before[i]
    })
  })

  it('come from the environment where they are not given', async () => {
    process.env.INFINO_ENDPOINT = `${fake.endpoint}/`
    process.env.INFINO_ACCESS_KEY = fake.accessKey
    process.env.INFINO_SECRET_KEY = fake.secretKey
    const client = infinoClient()
    clients.push(client)
    expect(client.endpoint).toBe(fake.endpoint)
    expect(await client.ping()).toEqual({ version: '2025-06-30' })
  })

  it('default to the public endpoint, and need both keys', () => {
    for (const name of names) delete process.env[name]
    expect(infinoClient({ accessKey: 'a', secretKey: 'b' }).endpoint).toBe('https://api.infino.ws')
    expect(() => infinoClient({ accessKey: 'a' })).toThrow(/secretKey.*INFINO_SECRET_KEY/)
    expect(() => infinoClient({ secretKey: 'a' })).toThrow(/accessKey.*INFINO_ACCESS_KEY/)
    expect(() => infinoClient({ accessKey: 'a', secretKey: 'line break\n' })).toThrow(/line break/)
  })

  it('refuse an endpoint that is none, or that holds a password', () => {
    for (const endpoint of ['api.infino.ws', 'ftp://x', ''])
      expect(() => open({ endpoint })).toThrow(/endpoint/)
    expect(() => open({ endpoint: 'http://me:hunter22@x' })).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('hunter22') }),
    )
  })
})

describe('the keys', () => {
  const canary = 'CANARY/secret+value=='
  const forms = [canary, encodeURIComponent(canary), Buffer.from(canary).toString('base64')]

  it('show in no message, stack, log line or inspection of any failure', async () => {
    const seen: string[] = []
    const note = (message: string, fields?: unknown) => seen.push(message, inspect(fields, { depth: 9 }))
    const log: Logger = { debug: note, info: note, warn: note }
    const server = await startInfinoFake({ secretKey: canary })
    const { endpoint } = server
    const infino = open({ endpoint, secretKey: canary, retry: { attempts: 1 } })
    const echo = `{"error":{"type":"x","reason":"bad key ${canary} or ${forms[1]} or ${forms[2]}"}}`
    const faults: Fault[] = [
      ...[400, 401, 403, 404, 413, 429, 500].map((status) => ({ status, body: echo })),
      { status: 302, headers: { location: `http://x/?k=${forms[1]}` } },
      ...(['request', 'body', 'reply'] as const).map((lose) => ({ lose })),
      { status: 200, body: echo },
      { status: 200, body: canary },
      { status: 200, body: `<title>${canary}</title>` },
      { status: 200, body: `{"status":"${canary}","items":["${canary}"]}` },
    ]
    const calls: [FakeCall, () => Promise<unknown>][] = [
      ['upload', () => infino.upload('d', Buffer.from('{}\n'), 1, { log })],
      ['import', () => infino.importFile({ dataset: 'd', format: 'jsonl', file: [] }, { log })],
      ['sql', () => infino.sql('SELECT 1', { log })],
      ['query', () => infino.count('d', { log })],
      ['job', () => infino.job('run', { log })],
      ['deleteByQuery', () => infino.deleteByQuery('d', {}, { log })],
    ]
    let failures = 0
    for (const [call, run] of calls)
      for (const fault of faults) {
        server.fault(call, fault)
        try {
          await run()
        } catch (error) {
          failures++
          seen.push(
            inspect(error, { depth: 9, showHidden: true }),
            String((error as Error).stack),
            JSON.stringify(error),
          )
        }
      }
    await server.close()
    // An object without a count is an answer to a deletion; everything else fails.
    expect(failures).toBe(calls.length * faults.length - 1)
    seen.push(inspect(infino, { depth: 9, showHidden: true }), JSON.stringify(infino))
    expect(seen.some((text) => text.includes('***'))).toBe(true)
    for (const text of seen) for (const form of forms) expect(text).not.toContain(form)
  })

  it('show in no reason for which a row was refused', async () => {
    const server = await startInfinoFake({ secretKey: canary })
    const infino = open({ endpoint: server.endpoint, secretKey: canary })
    const items = [{ index: { status: 400, error: { type: 'x', reason: `because of ${canary}` } } }]
    server.datasets.set('d', new Map())
    server.fault('upload', { reply: () => ({ errors: true, items }) })
    const failures = await infino.upload('d', ndjson({ index: {} }, {}), 1)
    expect(failures).toMatchObject([{ status: 400, reason: 'x: because of ***' }])
    await server.close()
  })

  it('that are wrong give an error that says what to check', async () => {
    const infino = open({ secretKey: 'another-secret' })
    expect(await failureOf(infino.ping())).toMatchObject({
      code: 'ETL_INFINO_UNAUTHORIZED',
      verdict: 'never',
      message: expect.stringMatching(/Invalid signature.*check access key/),
    })
  })
})

describe('a server', () => {
  it('that is down is named, with what to check', async () => {
    const infino = open({ retry: { attempts: 2 } })
    await fake.close()
    const failure = await failureOf(infino.ping())
    expect(failure).toMatchObject({ code: 'ETL_RETRIES_EXHAUSTED', context: { unsent: true } })
    expect(failure.message).toMatch(/cannot reach the server.*ECONNREFUSED/)
  })

  it('that never answers is left when the signal fires', async () => {
    const infino = open()
    fake.fault('ping', { hang: 'before' })
    const stop = new AbortController()
    const running = failureOf(infino.ping({ signal: stop.signal }))
    while (fake.requests.length === 0) await new Promise(setImmediate)
    stop.abort(new EtlError('ETL_ABORTED', 'enough'))
    expect(await running).toMatchObject({ code: 'ETL_ABORTED', message: 'enough' })
  })
})
