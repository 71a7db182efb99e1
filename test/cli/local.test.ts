/** The local Infino from the command line: in the working directory, shared through `serve`, asked in SQL. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startLocalInfino } from '../../src/local/index.js'
import { folder, ledgerOf, run, serve } from './support.js'

let work: ReturnType<typeof folder>
beforeEach(() => {
  work = folder()
  writeFileSync(join(work.dir, 'big.csv'), 'n,text\n9007199254740993,"line\u001b[31m"\n2,b\n')
})
afterEach(() => work.remove())

const program = (...args: string[]) => run(args, { cwd: work.dir })

test('without an address rows go into .infino of the working directory, which a line says', async () => {
  const loaded = await program('load', 'big.csv', '--to', 'big')
  expect(loaded.code).toBe(0)
  expect(loaded.stderr).toContain('no endpoint given: using the local Infino in .infino')
  expect(ledgerOf(loaded.stderr).written).toBe(2)
  // Secrets stay the owner's.
  expect(statSync(join(work.dir, '.infino/keys.json')).mode & 0o077).toBe(0)
  const asked = await program('sql', 'SELECT n, text FROM big ORDER BY text DESC')
  expect(asked.code).toBe(0)
  // Integers keep all their digits.
  expect(asked.stdout).toBe('{"n":9007199254740993,"text":"line\\u001b[31m"}\n{"n":2,"text":"b"}\n')
  const listed = await program('datasets', '--json')
  expect(listed.stdout).toContain('"big"')
  const secret = JSON.parse(readFileSync(join(work.dir, '.infino/keys.json'), 'utf8')).secretKey as string
  for (const { stdout, stderr } of [loaded, asked, listed]) expect(stdout + stderr).not.toContain(secret)
})

test('--local names another directory, and needs no line', async () => {
  const loaded = await program('load', 'big.csv', '--to', 'big', '--local', 'elsewhere')
  expect(loaded.code).toBe(0)
  expect(loaded.stderr).not.toContain('no endpoint given')
  expect(existsSync(join(work.dir, 'elsewhere/infino.duckdb'))).toBe(true)
  expect(existsSync(join(work.dir, '.infino'))).toBe(false)
  const both = await program('load', 'big.csv', '--to', 'big', '--local', '--endpoint', 'http://127.0.0.1:9')
  expect(both.code).toBe(2)
  // The file that follows is no directory.
  const swallowed = await program('load', '--to', 'big', '--local', 'big.csv', 'big.csv')
  expect(swallowed.code).toBe(2)
  expect(swallowed.stderr).toContain('write --local behind the files')
})

test('a question to a local Infino that is not there makes none', async () => {
  const asked = await program('sql', 'SELECT 1')
  expect(asked.code).toBe(1)
  expect(asked.stderr).toContain('there is no local Infino in .infino')
  expect(existsSync(join(work.dir, '.infino'))).toBe(false)
})

test('a statement that is wrong is told in a line', async () => {
  await program('load', 'big.csv', '--to', 'big')
  const asked = await program('sql', 'SELEC nonsense')
  expect(asked.code).toBe(1)
  expect(asked.stderr).toMatch(/^error: .*\n$|using the local/m)
  expect(asked.stderr).not.toMatch(/^\s+at /m)
})

test('a directory that serve has is used through it; afterwards it is free again', async () => {
  const dir = join(work.dir, '.infino')
  const server = await serve(dir)
  const loaded = await program('load', 'big.csv', '--to', 'big')
  expect(loaded.code).toBe(0)
  expect(await server.count('big')).toBe(2)
  const stopped = await server.stop()
  expect(stopped.code).toBe(0)
  expect(existsSync(join(dir, 'server.json'))).toBe(false)
  expect((await program('sql', 'SELECT count(*) AS n FROM big')).stdout).toBe('{"n":2}\n')
})

test('what a killed server left behind is seen through', async () => {
  const dir = join(work.dir, '.infino')
  const server = await serve(dir)
  await server.client.close()
  server.child.kill('SIGKILL')
  await new Promise((resolve) => server.child.on('close', resolve))
  expect(existsSync(join(dir, 'server.json'))).toBe(true)
  expect((await program('load', 'big.csv', '--to', 'big')).code).toBe(0)
})

test('a directory that another process holds without serving it is told with what to do', async () => {
  const holder = await startLocalInfino({ dir: join(work.dir, '.infino') })
  try {
    const ran = await program('load', 'big.csv', '--to', 'big')
    expect(ran.code).toBe(1)
    expect(ran.stderr).toContain(
      'wait until it is done, or start one for everybody with: infino-etl serve --dir .infino',
    )
  } finally {
    await holder.close()
  }
})
