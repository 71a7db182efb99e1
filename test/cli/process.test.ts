/** The program as a process: signals, pipes, full disks, and ends that must not look like success. */
import { spawn, spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { cleanEnv, folder, ledgerOf, MAIN, run, type Serving, serve, start, until } from './support.js'

const ODD_SOURCE = fileURLToPath(new URL('./odd-source.mjs', import.meta.url))

const work = folder()
let infino: Serving

beforeAll(async () => {
  mkdirSync(join(work.dir, 'server'))
  infino = await serve(join(work.dir, 'server'))
})
afterAll(async () => {
  await infino.stop()
  work.remove()
})

function load(args: readonly string[], input = '') {
  return run(['load', ...args], { cwd: work.dir, env: infino.env, input })
}

/** Feeds rows to a load until it ends. */
function endlessLoad(dataset: string, args: readonly string[] = []) {
  const started = start(['load', '-', '--to', dataset, '--batch-rows', '200', ...args], {
    cwd: work.dir,
    env: infino.env,
  })
  const { stdin } = started.child
  let n = 0
  const feed = () => {
    while (stdin?.writable === true) {
      const rows = Array.from({ length: 500 }, () => `${n++},some text\n`).join('')
      if (!stdin.write(rows)) return void stdin.once('drain', feed)
    }
  }
  stdin?.write('n,text\n')
  feed()
  return started
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`${signal} ends a load in under two seconds, with status 4 and a true ledger`, async () => {
    const dataset = signal.toLowerCase()
    const { child, done } = endlessLoad(dataset)
    await until('rows in the dataset', async () => (await infino.count(dataset)) > 1000)
    const at = performance.now()
    child.kill(signal)
    const ran = await done
    expect(performance.now() - at).toBeLessThan(2000)
    expect(ran.code).toBe(4)
    expect(ran.stderr).toContain(`stopped by ${signal}`)
    const ledger = ledgerOf(ran.stderr)
    expect(ledger.written).toBeGreaterThan(1000)
    expect(ledger.read).toBe(ledger.written + ledger.rejected + ledger.unresolved)
    const count = await infino.count(dataset)
    expect(count).toBeGreaterThanOrEqual(ledger.written)
    expect(count).toBeLessThanOrEqual(ledger.written + ledger.unresolved)
  })
}

test('a stopped load with a checkpoint says how to go on, and going on brings each row once', async () => {
  const rows = Array.from({ length: 60_000 }, (_, n) => `${n},some text in every row\n`).join('')
  writeFileSync(join(work.dir, 'resume.csv'), `n,text\n${rows}`)
  const args = ['load', 'resume.csv', '--to', 'resumed', '--checkpoint', 'r.ckpt', '--batch-rows', '500']
  const first = start(args, { cwd: work.dir, env: infino.env, input: '' })
  await until('rows in the dataset', async () => (await infino.count('resumed')) > 5000)
  first.child.kill('SIGINT')
  const stopped = await first.done
  expect(stopped.code).toBe(4)
  expect(stopped.stderr).toContain('the same command goes on from r.ckpt')
  const second = await run(args, { cwd: work.dir, env: infino.env })
  expect(second.code).toBe(0)
  expect(ledgerOf(second.stderr)).toEqual({ read: 60_000, written: 60_000, rejected: 0, unresolved: 0 })
  const [row] = (
    await infino.client.sql('SELECT count(*) AS n, count(DISTINCT n) AS d, sum(n) AS s FROM resumed')
  ).rows
  expect(row).toEqual({ n: 60_000, d: 60_000, s: (60_000 * 59_999) / 2 })
})

for (const silentFor of ['everything', 'uploads']) {
  test(`SIGINT ends a load in under two seconds also where the server is silent on ${silentFor}`, async () => {
    let waiting = 0
    const server = createServer((request, response) => {
      if (silentFor === 'everything' || request.url?.endsWith('/json') === true) waiting++
      else response.end('{}')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    writeFileSync(join(work.dir, 'some.csv'), 'a\n1\n2\n')
    const env = { ...infino.env, INFINO_ENDPOINT: `http://127.0.0.1:${port}` }
    const { child, done } = start(['load', 'some.csv', '--to', 'silent'], { cwd: work.dir, env, input: '' })
    await until('a request', () => waiting > 0)
    const at = performance.now()
    child.kill('SIGINT')
    const ran = await done
    expect(performance.now() - at).toBeLessThan(2000)
    expect(ran.code).toBe(4)
    const unresolved = silentFor === 'everything' ? 0 : 2
    expect(ledgerOf(ran.stderr)).toEqual({ read: unresolved, written: 0, rejected: 0, unresolved })
    server.closeAllConnections()
    server.close()
  })
}

test('SIGINT ends a load into the local Infino of the program itself', async () => {
  const started = endlessLoad('own', ['--local', 'own'])
  await until('the load', () => started.stderr().includes('reading '))
  await until('a file that grows', () => statSync(join(work.dir, 'own/infino.duckdb.wal')).size > 100_000)
  const at = performance.now()
  started.child.kill('SIGINT')
  const ran = await started.done
  expect(performance.now() - at).toBeLessThan(2000)
  expect(ran.code).toBe(4)
  const { written, unresolved } = ledgerOf(ran.stderr)
  const query = ['sql', 'SELECT count(*) AS n FROM own', '--local', 'own']
  const { n } = JSON.parse((await run(query, { cwd: work.dir })).stdout) as { n: number }
  expect(written).toBeGreaterThan(0)
  expect(n).toBeGreaterThanOrEqual(written)
  expect(n).toBeLessThanOrEqual(written + unresolved)
})

test('a second signal aborts at once', async () => {
  const { child, done } = endlessLoad('twice')
  await until('rows in the dataset', async () => (await infino.count('twice')) > 0)
  child.kill('SIGINT')
  child.kill('SIGTERM')
  expect((await done).code).toBe(4)
})

test('a load that waits for what can never come does not look like success', async () => {
  const ran = await run(['stuck'], { cwd: work.dir, script: ODD_SOURCE })
  expect(ran.code).toBe(1)
  expect(ran.stderr).toContain('ETL_CLI_STUCK')
})

test('a source that gives fewer rows than it promised ends with status 5', async () => {
  const ran = await run(['short'], { cwd: work.dir, script: ODD_SOURCE })
  expect(ran.code).toBe(5)
  expect(ran.stderr).toMatch(/short declared 3 rows and gave 2.*ETL_SOURCE_INCOMPLETE/)
})

test('a reader that has seen enough ends the program quietly', async () => {
  await load(['-', '--format', 'jsonl', '--to', 'pipe'], '{"a":1}\n')
  const query = "SELECT i, repeat('x', 400) AS t FROM range(5000) AS r(i)"
  const child = spawn(process.execPath, [MAIN, 'sql', query], {
    cwd: work.dir,
    env: cleanEnv(infino.env),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stderr = ''
  child.stderr.on('data', (text) => {
    stderr += String(text)
  })
  child.stdout.once('data', () => child.stdout.destroy())
  const code = await new Promise((resolve) => child.on('close', resolve))
  expect(stderr).toBe('')
  expect(code).toBe(0)
})

test.skipIf(!existsSync('/dev/full'))(
  'a full disk is told, for output, summary and dead letters',
  async () => {
    writeFileSync(join(work.dir, 'some.csv'), 'a,b\n1,2\n3\n')
    const summary = await load(['some.csv', '--to', 'full-1', '--on-error', 'skip', '--summary', '/dev/full'])
    expect(summary.code).toBe(1)
    expect(summary.stderr).toMatch(/the summary \/dev\/full cannot be written.*ETL_CLI_SUMMARY/)
    expect(ledgerOf(summary.stderr).written).toBe(await infino.count('full-1'))
    const letters = await load(['some.csv', '--to', 'full-2', '--on-error', '/dev/full'])
    expect(letters.code).toBe(1)
    expect(letters.stderr).toMatch(/error: .*\/dev\/full/)
    expect(ledgerOf(letters.stderr).written).toBe(await infino.count('full-2'))
    const out = spawnSync('sh', ['-c', `"$0" "$1" sql 'SELECT 1 AS a' > /dev/full`, process.execPath, MAIN], {
      env: cleanEnv(infino.env),
      encoding: 'utf8',
    })
    expect(out.status).toBe(1)
    expect(out.stderr).toMatch(/standard output cannot be written/)
  },
)

const mount = mkdtempSync(join(work.dir, 'disk-'))
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', mount]).status === 0
afterAll(() => {
  if (mounted) spawnSync('umount', [mount])
})

test.skipIf(!mounted)('a disk that is full stops a load that keeps its position there', async () => {
  writeFileSync(join(work.dir, 'some.csv'), 'a,b\n1,2\n3,4\n')
  writeFileSync(join(mount, 'filler'), Buffer.alloc(60 * 1024))
  spawnSync('sh', ['-c', 'head -c 65536 /dev/zero >> "$0"', join(mount, 'filler')])
  const ran = await load(['some.csv', '--to', 'full-3', '--checkpoint', join(mount, 'c.ckpt')])
  expect(ran.code).toBe(1)
  expect(ran.stderr).toMatch(/ETL_CHECKPOINT_UNWRITABLE/)
  expect(ledgerOf(ran.stderr).written).toBe(await infino.count('full-3'))
})

test('a place where no file can be made is told before anything is sent', async () => {
  writeFileSync(join(work.dir, 'some.csv'), 'a,b\n1,2\n')
  for (const option of ['--summary', '--checkpoint', '--on-error']) {
    const ran = await load(['some.csv', '--to', 'nowhere', option, 'no/such/folder/x'])
    expect([option, ran.code]).toEqual([option, 1])
    expect(ran.stderr).toContain('no/such/folder/x')
  }
  expect(await infino.count('nowhere')).toBe(0)
})

test('--version loads nothing that a load needs', async () => {
  const coverage = join(work.dir, 'coverage')
  const ran = await run(['--version'], { cwd: work.dir, env: { NODE_V8_COVERAGE: coverage } })
  expect(ran.code).toBe(0)
  expect(ran.stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  const scripts = readdirSync(coverage).flatMap((name) => {
    const { result } = JSON.parse(readFileSync(join(coverage, name), 'utf8')) as { result: { url: string }[] }
    return result.map(({ url }) => url)
  })
  const packages = new Set(scripts.map((url) => /node_modules\/([^/]+)/.exec(url)?.[1]).filter(Boolean))
  expect([...packages]).toEqual(['commander'])
})

test('wrong usage has status 2, help has status 0', async () => {
  for (const args of [
    [],
    ['load'],
    ['nonsense'],
    ['load', 'x', '--limit', '-1'],
    ['load', 'x', '--format', 'xml'],
  ]) {
    const ran = await run(args, { cwd: work.dir })
    expect([args, ran.code]).toEqual([args, 2])
    expect(ran.stderr).not.toMatch(/^\s+at /m)
  }
  const help = await run(['load', '--help'], { cwd: work.dir })
  expect(help.code).toBe(0)
  expect(help.stdout).toContain('--on-error')
})
