/** Loads through the program, and what the dataset then holds. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { folder, ledgerOf, run, type Serving, serve, VEGA } from './support.js'

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

function file(name: string, content: string | Uint8Array): string {
  writeFileSync(join(work.dir, name), content)
  return name
}

function load(args: readonly string[], input: string | Uint8Array = '') {
  return run(['load', ...args], { cwd: work.dir, env: infino.env, input })
}

async function rowsOf(dataset: string, columns: string, order: string) {
  return (await infino.client.sql(`SELECT ${columns} FROM ${dataset} ORDER BY ${order}`)).rows
}

test('a CSV file arrives whole, and the last line is a ledger that says so', async () => {
  const ran = await load([join(VEGA, 'airports.csv'), '--to', 'airports'])
  expect(ran.stderr).toContain('csv, delimiter comma, header, 7 columns (iata, name, city, state, country')
  expect(ran.stdout).toBe('')
  expect(ledgerOf(ran.stderr)).toEqual({ read: 3376, written: 3376, rejected: 0, unresolved: 0 })
  expect(ran.code).toBe(0)
  expect(await infino.count('airports')).toBe(3376)
  const [row] = await rowsOf('airports', 'count(DISTINCT iata) AS codes', 'codes')
  expect(row).toEqual({ codes: 3376 })
})

test('a JSON array, JSON lines, a glob, gzip, brotli and standard input are told by name or content', async () => {
  const line = (n: number) => `{"n":${n}}\n`
  file('part-1.jsonl', line(1) + line(2))
  file('part-2.jsonl.gz', gzipSync(line(3)))
  file('part-3.json', '[{"n":4},{"n":5}]')
  file('part-4.csv.br', brotliCompressSync('n\n6\n7\n'))
  // The content counts where the name says nothing.
  file('part-5', gzipSync('n;m\n8;x\n'))
  const ran = await load(['part-*', '-', '--to', 'mixed'], '{"n":9}\n{"n":10}\n')
  expect(ran.stderr).toContain('delimiter semicolon')
  expect(ran.code).toBe(0)
  expect(ledgerOf(ran.stderr).written).toBe(10)
  expect((await rowsOf('mixed', 'n', 'n')).map(({ n }) => n)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
})

test('options of CSV: delimiter, no header, everything as text', async () => {
  file('plain.txt', '007|1.50\n08|x\n')
  const ran = await load(['plain.txt', '--delimiter', '|', '--no-header', '--types', 'text', '--to', 'plain'])
  expect(ran.code).toBe(0)
  expect(await rowsOf('plain', 'column_1, column_2', 'column_1')).toEqual([
    { column_1: '007', column_2: '1.50' },
    { column_1: '08', column_2: 'x' },
  ])
})

test('an array deep in a JSON document is reached by its path', async () => {
  file('deep.json', '{"data":{"rows":[{"a":1},{"a":2}]}}')
  const ran = await load(['deep.json', '--path', 'data.rows', '--to', 'deep'])
  expect(ran.code).toBe(0)
  expect(await infino.count('deep')).toBe(2)
})

test('--id replaces rows of the same id, also over several columns', async () => {
  file('first.csv', 'k,l,v\na,1,old\nb,1,old\n')
  file('second.csv', 'k,l,v\na,1,new\n')
  expect((await load(['first.csv', '--to', 'keyed', '--id', 'k', '--id', 'l'])).code).toBe(0)
  expect((await load(['second.csv', '--to', 'keyed', '--id', 'k', '--id', 'l'])).code).toBe(0)
  expect(await rowsOf('keyed', 'k, v', 'k')).toEqual([
    { k: 'a', v: 'new' },
    { k: 'b', v: 'old' },
  ])
})

test('batches, requests in flight and a limit are obeyed', async () => {
  const args = [join(VEGA, 'airports.csv'), '--to', 'limited', '--limit', '100', '--batch-rows', '10']
  const ran = await load([...args, '--concurrency', '2', '--summary', 'limited.json'])
  expect(ran.code).toBe(0)
  expect(ran.stderr).toMatch(/ended early: limit/)
  const summary = JSON.parse(readFileSync(join(work.dir, 'limited.json'), 'utf8'))
  expect(summary).toMatchObject({
    exitCode: 0,
    report: { status: 'complete', writes: 10, ledger: { sink: { written: 100 } } },
  })
  expect(await infino.count('limited')).toBe(100)
})

test('rejected rows are counted, named, kept in a file, and make the status 3', async () => {
  file('ragged.csv', 'a,b\n1,2\n3\n4,5\n6,7,8\n')
  const ran = await load(['ragged.csv', '--to', 'ragged', '--on-error', 'bad.jsonl'])
  expect(ran.code).toBe(3)
  expect(ran.stderr).toContain('rejected: 2 x ETL_CSV_COLUMNS (first: ragged.csv, row 2, line 3)')
  expect(ledgerOf(ran.stderr)).toEqual({ read: 4, written: 2, rejected: 2, unresolved: 0 })
  const letters = readFileSync(join(work.dir, 'bad.jsonl'), 'utf8').trimEnd().split('\n')
  expect(letters.map((line) => JSON.parse(line).position.line)).toEqual([3, 5])
  expect(await infino.count('ragged')).toBe(2)
  const skipped = await load(['ragged.csv', '--to', 'skipped', '--on-error', 'skip'])
  expect(skipped.code).toBe(3)
  expect(await infino.count('skipped')).toBe(2)
})

test('a dry run checks every row and sends nothing', async () => {
  file('ids.csv', 'id,v\n1,a\n,b\n')
  const good = await load([join(VEGA, 'movies.json'), '--dry-run', '--to', 'dry'])
  expect(good.code).toBe(0)
  expect(good.stderr).toContain('ledger: 3,201 read = 3,201 valid + 0 rejected')
  expect(good.stderr).toContain('nothing was sent')
  // A row without an id is found without a server, and no dataset need be named.
  const bad = await run(['load', 'ids.csv', '--dry-run', '--id', 'id', '--on-error', 'skip'], {
    cwd: work.dir,
  })
  expect(bad.code).toBe(3)
  expect(ledgerOf(bad.stderr)).toEqual({ read: 2, written: 1, rejected: 1, unresolved: 0 })
  expect(await infino.count('dry')).toBe(0)
  expect(existsSync(join(work.dir, '.infino/infino.duckdb'))).toBe(false)
})

test('a second load of a file into the same dataset is told', async () => {
  file('again.csv', 'a\n1\n')
  const first = await load(['again.csv', '--to', 'again'])
  expect(first.stderr).not.toContain('before')
  const second = await load(['again.csv', '--to', 'again'])
  expect(second.stderr).toMatch(
    /again\.csv was loaded into again before \(.* UTC, 1 rows written\); its rows are added/,
  )
  file('again.csv', 'a\n1\n2\n')
  const third = await load(['again.csv', '--to', 'again', '--id', 'a'])
  expect(third.stderr).toContain('the file has changed since')
  expect(third.stderr).toContain('rows with the same id are replaced')
  expect((await load(['again.csv', '--to', 'elsewhere'])).stderr).not.toContain('before')
})

test('a load with a checkpoint that is complete does nothing when it is started again', async () => {
  file('once.csv', 'a\n1\n2\n')
  const args = ['once.csv', '--to', 'once', '--checkpoint', 'once.ckpt']
  expect((await load(args)).code).toBe(0)
  const again = await load(args)
  expect(again.code).toBe(0)
  expect(again.stderr).toContain('nothing to do: once.ckpt is of a load that is complete')
  expect(ledgerOf(again.stderr)).toEqual({ read: 2, written: 2, rejected: 0, unresolved: 0 })
  expect(await infino.count('once')).toBe(2)
})
