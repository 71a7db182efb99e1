import { type ChildProcess, fork } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { loadDuckDb } from '../../src/local/duckdb.js'
import { startLocalInfino } from '../../src/local/index.js'
import { bulk, call, indexLines, rowsOf, sql, type Target } from './client.js'
import { multipart } from './multipart.js'

const script = fileURLToPath(new URL('./serve.mjs', import.meta.url))
let dir: string
let child: ChildProcess | undefined

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'local-'))
})
afterEach(async () => {
  await kill()
  rmSync(dir, { recursive: true, force: true })
})

function serve(): Promise<Target> {
  return new Promise((resolve, reject) => {
    child = fork(script, [dir], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    child.once('message', (message) => resolve(message as Target))
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)))
  })
}

async function kill(): Promise<void> {
  const dying = child
  child = undefined
  if (dying === undefined || dying.exitCode !== null || dying.signalCode !== null) return
  const ended = new Promise((resolve) => dying.once('exit', resolve))
  dying.kill('SIGKILL')
  await ended
}

test('kill -9 in the middle of loads loses no acknowledged row and shows no half of a request', async () => {
  const rows = 200
  const acknowledged = new Set<number>()
  let sent = 0
  for (let life = 0; life < 5; life += 1) {
    const server = await serve()
    if (life === 0) await call(server, 'PUT', '/load')
    let dead = false
    const goal = acknowledged.size + 6 + life * 5
    const lane = async () => {
      while (!dead) {
        const request = sent
        sent += 1
        const body = indexLines(
          Array.from({ length: rows }, (_, i) => [`${request}.${i}`, { request, i, pad: 'x'.repeat(50) }]),
        )
        const reply = await bulk(server, 'load', body).catch(() => undefined)
        if (reply?.status === 200 && reply.json.errors === false) acknowledged.add(request)
        if (acknowledged.size >= goal && !dead) {
          dead = true
          await kill()
        }
      }
    }
    await Promise.all([lane(), lane(), lane()])
  }
  const server = await serve()
  const found = rowsOf(
    await sql(server, 'SELECT request, count(*) AS n, count(DISTINCT _id) AS ids FROM load GROUP BY 1'),
  )
  const whole = new Set(found.map((row) => row.request as number))
  for (const row of found) expect(row).toEqual({ request: row.request, n: rows, ids: rows })
  for (const request of acknowledged) expect(whole.has(request)).toBe(true)
  expect(acknowledged.size).toBeGreaterThanOrEqual(26)
  // What came back is known as old, not as new.
  const again = await bulk(server, 'load', indexLines([[`${[...acknowledged][0]}.0`, { request: -1 }]]))
  expect(again.json.items[0].index).toMatchObject({ result: 'updated', _version: 2 })
})

test('an import that dies with the server is failed afterwards, and left nothing', async () => {
  let server = await serve()
  await call(server, 'PUT', '/t')
  const lines = Array.from({ length: 300_000 }, (_, i) => `{"i":${i},"deep":{"list":[${i}]}}`).join('\n')
  const { body, contentType } = multipart({ index_name: 't', format: 'jsonl' }, 'big.jsonl', lines)
  const reply = await call(server, 'POST', '/import/file?async=true', { body, contentType })
  expect(reply.json).toMatchObject({ status: 'submitted', stats: null, errors: [] })
  await kill()
  server = await serve()
  const job = (await call(server, 'GET', `/_connectors/jobs/${reply.json.run_id}`)).json
  const count = (await call(server, 'GET', '/t/_count')).json.count
  expect({ status: job.status, count }).toEqual({ status: 'failed', count: 0 })
  expect(job.error_message).toMatch(/server stopped/)
  expect(readdirSync(join(dir, 'uploads'))).toEqual([])
})

test('a second server on a directory is told that the first one has it', async () => {
  await serve()
  await expect(startLocalInfino({ dir })).rejects.toMatchObject({ code: 'ETL_LOCAL_IN_USE' })
  const other = join(dir, 'other')
  const first = await startLocalInfino({ dir: other })
  await expect(startLocalInfino({ dir: other })).rejects.toMatchObject({ code: 'ETL_LOCAL_IN_USE' })
  await first.close()
  await first.close()
  const second = await startLocalInfino({ dir: other })
  expect(second.secretKey).toBe(first.secretKey)
  await second.close()
})

test('what is loaded before a close is there after the next start', async () => {
  const first = await startLocalInfino({ dir })
  await call(first, 'PUT', '/kept')
  await bulk(
    first,
    'kept',
    indexLines([
      ['1', '{"b":1,"a":2.50}'],
      ['2', '{"late":"x"}'],
    ]),
  )
  await first.close()
  const second = await startLocalInfino({ dir })
  expect((await call(second, 'GET', '/kept/doc/1')).text).toContain('"_source":{"b":1,"a":2.50}')
  expect(rowsOf(await sql(second, 'SELECT * FROM kept ORDER BY _id'))).toEqual([
    { _id: '1', b: 1, a: 2.5, late: null },
    { _id: '2', b: null, a: null, late: 'x' },
  ])
  await bulk(second, 'kept', indexLines([['1', '{"b":"now text"}']]))
  expect(rowsOf(await sql(second, "SELECT b FROM kept WHERE _id = '1'"))).toEqual([{ b: 'now text' }])
  await second.close()
})

test('without DuckDB the error says how to install it', async () => {
  await expect(loadDuckDb(() => Promise.reject(new Error('Cannot find package')))).rejects.toMatchObject({
    code: 'ETL_DEPENDENCY_MISSING',
    message: expect.stringContaining('npm install @duckdb/node-api'),
  })
})

test('what cannot be started is an error with its reason', async () => {
  const one = await startLocalInfino({ dir })
  const port = Number(new URL(one.url).port)
  await expect(startLocalInfino({ dir: join(dir, 'b'), port })).rejects.toMatchObject({
    code: 'ETL_LOCAL_LISTEN',
  })
  await one.close()
  await expect(startLocalInfino({ dir: script })).rejects.toMatchObject({ code: 'ETL_LOCAL_OPEN' })
  await expect(startLocalInfino({ dir: '' })).rejects.toMatchObject({ code: 'ETL_OPTION_INVALID' })
  const half = startLocalInfino({ dir, accessKey: 'only' })
  await expect(half).rejects.toMatchObject({ code: 'ETL_OPTION_INVALID', context: { option: 'secretKey' } })
  expect(existsSync(join(dir, 'keys.json'))).toBe(true)
})
