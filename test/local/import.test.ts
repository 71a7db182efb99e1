import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { UNSIGNED_PAYLOAD } from '../../src/http/sigv4.js'
import { type LocalInfino, startLocalInfino } from '../../src/local/index.js'
import { bulk, call, indexLines, type Reply, rowsOf, sql } from './client.js'
import { multipart } from './multipart.js'

let dir: string
let infino: LocalInfino
let dataset = ''
let made = 0

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'local-'))
  infino = await startLocalInfino({ dir, bodyLimitBytes: 10_000, uploadLimitBytes: 4_000_000 })
})
afterAll(async () => {
  await infino.close()
  rmSync(dir, { recursive: true, force: true })
})
beforeEach(async () => {
  made += 1
  dataset = `i${made}`
  await call(infino, 'PUT', `/${dataset}`)
})

async function upload(
  name: string,
  file: string | Uint8Array,
  format = 'auto',
  async = false,
): Promise<Reply> {
  const { body, contentType } = multipart({ index_name: dataset, format, batch_size: '100' }, name, file)
  return await call(infino, 'POST', `/import/file?async=${async}`, {
    body,
    contentType,
    hash: UNSIGNED_PAYLOAD,
  })
}
const count = async () => (await call(infino, 'GET', `/${dataset}/_count`)).json.count

test('a JSONL file is stored line by line, its text untouched, bad lines counted', async () => {
  const reply = await upload(
    'a.jsonl',
    '{"n":12.50,"big":12345678901234567890}\r\n\n{"n":\n[1]\n{"n":2,"s":"ü"}',
  )
  expect(reply.json).toMatchObject({
    connector_id: 'file',
    status: 'completed',
    stats: { documents_processed: 2, documents_failed: 2 },
  })
  expect(reply.json.errors).toEqual([expect.stringContaining('3'), expect.stringContaining('4')])
  const found = await call(infino, 'POST', `/${dataset}/querydsl`, { body: '{"sort":["n"]}' })
  expect(found.text).toContain('"_source":{"n":12.50,"big":12345678901234567890}')
  const job = (await call(infino, 'GET', `/_connectors/jobs/${reply.json.run_id}`)).json
  expect(job).toMatchObject({
    run_id: reply.json.run_id,
    status: 'completed',
    connector_id: 'file',
    connection_id: null,
    index_name: dataset,
    error_message: null,
    stats: { documents_processed: 2, documents_failed: 2 },
  })
  expect(job.completed_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}\+00:00$/)
})

test('a JSON array is stored element by element, its text untouched', async () => {
  const reply = await upload(
    'a.json',
    '\ufeff [ {"a": [1, {"b": "]}\\"["}] ,"n":1.0} ,\n {"a":\n2}, 7, "x", null,{} ]\n',
  )
  expect(reply.json).toMatchObject({
    status: 'completed',
    stats: { documents_processed: 3, documents_failed: 3 },
  })
  const found = await call(infino, 'POST', `/${dataset}/querydsl`, { body: '{}' })
  expect(found.text).toContain('"_source":{"a": [1, {"b": "]}\\"["}] ,"n":1.0}')
  expect(found.text).toContain('"_source":{"a":\n2}')
  expect((await upload('one.json', '{"only":1}\n{"and":2}')).json.stats.documents_processed).toBe(2)
  expect((await upload('none.json', '[]')).json).toMatchObject({
    status: 'completed',
    stats: { documents_processed: 0 },
  })
})

test.each([
  ['cut.json', '[{"a":1},{"a":'],
  ['cut2.json', '[{"a":1}'],
  ['commas.json', '[{"a":1},,{"a":2}]'],
  ['trail.json', '[{"a":1},]'],
  ['more.json', '[{"a":1}] x'],
  ['text.json', 'hello'],
  ['empty.json', ''],
  ['quote.csv', 'a,b\n1,2\n"x,3\n'],
  ['allbad.jsonl', 'x\ny\n'],
  ['glued.json', '[{"a":1}{"a":2}]'],
])('a file that is broken as a whole fails and leaves nothing: %s', async (name, text) => {
  const reply = await upload(name, text)
  expect(reply.status).toBe(200)
  expect(reply.json).toMatchObject({ status: 'failed', stats: { documents_processed: 0 } })
  expect(reply.json.errors[0]).toEqual(expect.stringMatching(/\S/))
  expect(await count()).toBe(0)
})

test('a CSV file gets the types of its columns', async () => {
  const reply = await upload(
    't.csv',
    '\ufeffid,zip,price,ok,note,id,\n1,01234,12.50,true,"a ""q"", b\nnext",x,\n9007199254740993,99,-1e5,FALSE,,y,z\n3,4\n',
  )
  expect(reply.json).toMatchObject({
    status: 'completed',
    stats: { documents_processed: 2, documents_failed: 1 },
  })
  expect(
    rowsOf(
      await sql(
        infino,
        `SELECT typeof(id) AS i, typeof(zip) AS z, typeof(price) AS p, typeof(ok) AS o FROM ${dataset} LIMIT 1`,
      ),
    ),
  ).toEqual([{ i: 'BIGINT', z: 'VARCHAR', p: 'DOUBLE', o: 'BOOLEAN' }])
  const found = (await call(infino, 'POST', `/${dataset}/querydsl`, { body: '{"sort":["id"]}' })).text
  expect(found).toContain(
    '"_source":{"id":1,"zip":"01234","price":12.50,"ok":true,"note":"a \\"q\\", b\\nnext","id_2":"x","column_7":null}',
  )
  expect(found).toContain('"id":9007199254740993')
  expect((await upload('h.csv', 'a,b\n')).json).toMatchObject({
    status: 'completed',
    stats: { documents_processed: 0, documents_failed: 0 },
  })
})

test('a large file is streamed to disk, imported in the background, and gone afterwards', async () => {
  const lines = Array.from({ length: 40_000 }, (_, i) => `{"i":${i},"text":"${'x'.repeat(60)}"}`).join('\n')
  const reply = await upload('big.jsonl', lines, 'jsonl', true)
  expect(reply.json).toEqual({
    connector_id: 'file',
    run_id: expect.any(String),
    status: 'submitted',
    message: expect.any(String),
    stats: null,
    errors: [],
  })
  const deadline = Date.now() + 20_000
  let job = { status: '', stats: {} }
  while (job.status !== 'completed' && job.status !== 'failed' && Date.now() < deadline)
    job = (await call(infino, 'GET', `/_connectors/jobs/${reply.json.run_id}`)).json
  expect(job).toMatchObject({
    status: 'completed',
    stats: { documents_processed: 40_000, documents_failed: 0 },
  })
  expect(
    rowsOf(
      await sql(infino, `SELECT count(*) AS n, count(DISTINCT _id) AS ids, sum(i) AS s FROM ${dataset}`),
    ),
  ).toEqual([{ n: 40_000, ids: 40_000, s: (40_000 * 39_999) / 2 }])
  expect(readdirSync(join(dir, 'uploads'))).toEqual([])
})

test('rows that came from a file are replaced by their id like others', async () => {
  await bulk(infino, dataset, indexLines([['mine', { v: 0 }]]))
  await upload('a.jsonl', '{"v":1}\n')
  const id = rowsOf(await sql(infino, `SELECT _id FROM ${dataset} WHERE v = 1`))[0]!._id as string
  const reply = await bulk(infino, dataset, indexLines([[id, { v: 2 }]]))
  expect(reply.json.items[0].index).toMatchObject({ result: 'updated', _version: 2 })
  expect(await count()).toBe(2)
})

test('uploads that lack something, or are no multipart, are refused and leave no file', async () => {
  const send = async (body: string | Buffer, contentType: string) =>
    (await call(infino, 'POST', '/import/file', { body, contentType, hash: UNSIGNED_PAYLOAD })).status
  const good = multipart({ index_name: dataset }, 'a.json', '[]')
  const named = (fields: Record<string, string>, file = 'a.json') => multipart(fields, file, '[]')
  expect(await send(named({}).body, good.contentType)).toBe(400)
  expect(await send(named({ index_name: 'nowhere' }).body, good.contentType)).toBe(404)
  expect(await send(named({ index_name: dataset, format: 'xml' }).body, good.contentType)).toBe(400)
  expect(await send(named({ index_name: dataset }, 'noextension').body, good.contentType)).toBe(400)
  expect(await send(good.body, 'application/json')).toBe(400)
  expect(await send(good.body, 'multipart/form-data; boundary=other')).toBe(400)
  expect(await send(good.body.subarray(0, good.body.length - 10), good.contentType)).toBe(400)
  expect(await send('', good.contentType)).toBe(400)
  expect(
    await send(multipart({ index_name: dataset }, 'a.jsonl', 'x'.repeat(4_000_001)).body, good.contentType),
  ).toBe(413)
  expect(await send(good.body, good.contentType)).toBe(200)
  expect(readdirSync(join(dir, 'uploads'))).toEqual([])
  const signed = await call(infino, 'POST', '/import/file', { ...good, hash: '0'.repeat(64) })
  expect(signed.status).toBe(401)
})

test('file bytes that look like delimiters arrive as they are, however the bytes are cut', async () => {
  const rows = ['\r\n--b0undary', '--b0undary-7MA4YWxk', '\r\n\r\n', '\r', '-'.repeat(70_000)].map((s) =>
    JSON.stringify({ s }),
  )
  const { json } = await upload('odd.jsonl', `${rows.join('\n')}\n`)
  expect(json.stats).toMatchObject({ documents_processed: 5, documents_failed: 0 })
  const found = await call(infino, 'POST', `/${dataset}/querydsl`, { body: '{}' })
  for (const row of rows) expect(found.text).toContain(row)
})
