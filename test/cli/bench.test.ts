/** `infino-etl bench`, as a process of its own. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { drawn } from '../../src/cli/bench-view.js'
import { folder, run, serve } from './support.js'

const work = folder()
afterAll(() => work.remove())

const csv = `id,qty\n${Array.from({ length: 5000 }, (_, i) => `${i},${i % 7}\n`).join('')}`
writeFileSync(join(work.dir, 'orders.csv'), csv)

interface Told {
  readonly rows: number
  readonly rejected: number
  readonly slowest: string
  readonly stages: readonly { readonly name: string; readonly ms?: number }[]
  readonly sent?: { readonly written: number }
}

const times = (told: Told) => Object.fromEntries(told.stages.map(({ name, ms }) => [name, ms]))

test('each stage that had work is timed, and the slowest one is named', async () => {
  const { code, stdout } = await run(['bench', 'orders.csv'], { cwd: work.dir })
  const told = JSON.parse(stdout) as Told
  expect(code).toBe(0)
  expect(told.rows).toBe(5000)
  const { read, decode, encode, hash, transform, send } = times(told)
  for (const ms of [read, decode, encode, hash]) expect(ms).toBeGreaterThan(0)
  expect([transform, send]).toEqual([undefined, undefined])
  const most = Math.max(read!, decode!, encode!, hash!)
  expect(times(told)[told.slowest]).toBe(most)
})

test('a map is a stage of its own, and a limit is kept', async () => {
  writeFileSync(join(work.dir, 'map.mjs'), 'export default (row) => ({ ...row, double: row.qty * 2 })\n')
  const { code, stdout } = await run(['bench', 'orders.csv', '--map', 'map.mjs', '--limit', '1000'], {
    cwd: work.dir,
  })
  const told = JSON.parse(stdout) as Told
  expect([code, told.rows]).toEqual([0, 1000])
  expect(times(told).transform).toBeGreaterThan(0)
})

test('with --to the rows arrive', async () => {
  const dir = join(work.dir, 'server')
  mkdirSync(dir)
  const infino = await serve(dir)
  try {
    const { code, stdout } = await run(['bench', 'orders.csv', '--to', 'orders'], {
      cwd: work.dir,
      env: infino.env,
    })
    const told = JSON.parse(stdout) as Told
    expect([code, told.sent?.written]).toEqual([0, 5000])
    expect(times(told).send).toBeGreaterThan(0)
    expect(await infino.count('orders')).toBe(5000)
  } finally {
    await infino.stop()
  }
})

test('an address is downloaded, and one that is not there is an error with its status', async () => {
  const server = createServer((request, response) => {
    if (request.url === '/orders.csv') response.end(csv)
    else response.writeHead(404).end()
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  try {
    const good = await run(['bench', `${base}/orders.csv`], { cwd: work.dir })
    expect([good.code, (JSON.parse(good.stdout) as Told).rows]).toEqual([0, 5000])
    const bad = await run(['bench', `${base}/none.csv?key=secret`], { cwd: work.dir })
    expect(bad.code).toBe(1)
    expect(bad.stderr).toMatch(/none\.csv: status 404 \[ETL_CLI_DOWNLOAD\]/)
    expect(bad.stderr).not.toContain('secret')
  } finally {
    server.close()
  }
})

test.each([
  ['standard input', ['bench', '-'], /not standard input/],
  ['a map that is no function', ['bench', 'orders.csv', '--map', 'orders.json'], /--map orders\.json/],
  ['a missing file', ['bench', 'none.csv'], /none\.csv: no such file/],
])('%s is refused with one line', async (_name, args, message) => {
  const { code, stderr, stdout } = await run(args, { cwd: work.dir })
  expect(code).not.toBe(0)
  expect(stderr).toMatch(message)
  expect(stderr.trimEnd().split('\n')).toHaveLength(1)
  expect(stdout).toBe('')
})

test('rejected rows are counted, and told by the exit status', async () => {
  writeFileSync(join(work.dir, 'ragged.csv'), 'a,b\n1,2\n3\n4,5\n')
  const { code, stdout } = await run(['bench', 'ragged.csv'], { cwd: work.dir })
  expect([code, (JSON.parse(stdout) as Told).rejected]).toEqual([3, 1])
})

test('the longest bar is that of the slowest stage, and no name can write escape sequences', () => {
  const lines = drawn({
    input: 'a\u001b[31m.csv',
    rows: 1000,
    rejected: 0,
    bytes: 10_000,
    elapsedMs: 120,
    sent: undefined,
    stages: [
      { name: 'read', ms: 10, bytes: 10_000 },
      { name: 'decode', ms: 80, bytes: 10_000 },
      { name: 'transform', ms: undefined, bytes: undefined },
      { name: 'encode', ms: 9, bytes: 20_000 },
      { name: 'hash', ms: 1, bytes: 20_000 },
      { name: 'send', ms: undefined, bytes: undefined },
    ],
  })
  const cells = (name: string) =>
    /█*/g[Symbol.match](lines.find((line) => line.startsWith(name)) ?? '')?.join('')
  expect(cells('decode')).toHaveLength(30)
  expect(cells('encode')?.length).toBeLessThan(5)
  expect(lines.at(-1)).toBe('The slowest stage is decode: 80 % of the time.')
  expect(lines.join('')).not.toContain('\u001b')
})
