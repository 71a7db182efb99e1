/** Bad input: the exit status, a message with the place, and a ledger that agrees with the dataset. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { folder, ledgerOf, run, type Serving, serve } from './support.js'

const work = folder()
let infino: Serving

beforeAll(async () => {
  for (const name of ['server', 'folder']) mkdirSync(join(work.dir, name))
  infino = await serve(join(work.dir, 'server'))
})
afterAll(async () => {
  await infino.stop()
  work.remove()
})

const CANARY = 'CANARY-9f3b1c7e5d'
const gzipped = gzipSync(`a\n${'1\n'.repeat(100_000)}`)

interface Case {
  readonly name: string
  readonly file: string
  readonly content?: string | Uint8Array
  readonly code: number
  readonly message: RegExp
  readonly args?: readonly string[]
}

const cases: readonly Case[] = [
  {
    name: 'missing',
    file: 'missing.csv',
    code: 1,
    message: /missing\.csv: no such file.*ETL_FILE_NOT_FOUND/,
  },
  { name: 'a directory', file: 'folder', code: 1, message: /folder is a directory.*folder\/\*\.csv/ },
  {
    name: 'empty',
    file: 'empty.csv',
    content: '',
    code: 1,
    message: /empty\.csv is empty: expected a line of/,
  },
  { name: 'a header alone', file: 'header.csv', content: 'a,b\n', code: 0, message: /no rows/ },
  {
    name: 'a quote that is never closed',
    file: 'quote.csv',
    content: 'a,b\n1,2\n3,"x\n4,5\n',
    code: 1,
    message: /line 3 \(quote\.csv, row 2, byte 10\).*ETL_CSV_UNCLOSED_QUOTE/,
  },
  {
    name: 'a row with too few cells',
    file: 'ragged.csv',
    content: 'a,b\n1,2\n3\n',
    code: 1,
    message: /expected 2 cells, got 1 \(ragged\.csv, row 2, line 3, byte 8\).*ETL_CSV_COLUMNS/,
  },
  {
    name: 'odd column names',
    file: 'names.csv',
    content: 'a,a,,__proto__\n1,2,3,4\n',
    code: 0,
    message: /a_2/,
  },
  {
    name: 'gzip cut short',
    file: 'cut.csv.gz',
    content: gzipped.subarray(0, gzipped.length - 10),
    code: 1,
    message: /cut\.csv\.gz.*(cut|trunc|ends|short|incomplete)/i,
  },
  {
    name: 'broken JSON',
    file: 'broken.json',
    content: '[{"a":1},{"a":oops}]',
    code: 1,
    message: /byte 14 \(broken\.json, line 1, element 2\).*ETL_JSON_BROKEN/,
  },
  {
    name: 'JSON that is no array',
    file: 'object.json',
    content: '{"a":1,"b":[1]}',
    code: 1,
    message: /expected an array at the top.*object\.json.*ETL_JSON_NOT_ARRAY/,
  },
  {
    name: 'invalid UTF-8',
    file: 'latin.csv',
    content: Buffer.from('name\nJos\xe9\n', 'latin1'),
    code: 1,
    message: /latin\.csv.*byte 8.*ETL_TEXT_INVALID/,
  },
  {
    name: 'a line over the limit',
    file: 'long.jsonl',
    content: `{"a":1}\n{"a":"${'x'.repeat(17 * 1024 * 1024)}"}\n`,
    code: 1,
    message: /long\.jsonl.*line 2.*ETL_ROW_TOO_LARGE/,
  },
  {
    name: 'a dataset name that is not allowed',
    file: 'ok.csv',
    content: 'a\n1\n',
    args: ['--to', 'No/Such'],
    code: 2,
    message: /expected a dataset name of lower-case letters.*"No\/Such".*ETL_INFINO_DATASET_NAME/,
  },
  { name: 'no dataset', file: 'ok.csv', args: [], code: 2, message: /--to is missing/ },
  {
    name: 'a position of a dry run',
    file: 'ok.csv',
    args: ['--dry-run', '--checkpoint', 'x.ckpt'],
    code: 2,
    message: /no position to keep/,
  },
  {
    name: 'options that exclude each other',
    file: 'ok.csv',
    args: ['--to', 'x', '--format', 'json', '--no-header'],
    code: 2,
    message: /are for CSV/,
  },
]

for (const [index, { name, file, content, code, message, args }] of cases.entries()) {
  test(`${name}: status ${code}, the place, and a true ledger`, async () => {
    if (content !== undefined) writeFileSync(join(work.dir, file), content)
    const dataset = `bad-${index}`
    const ran = await run(['load', file, ...(args ?? ['--to', dataset])], { cwd: work.dir, env: infino.env })
    expect(ran.stderr).toMatch(message)
    expect(ran.code).toBe(code)
    expect(ran.stderr).not.toMatch(/^\s+at /m)
    expect(ledgerOf(ran.stderr).written).toBe(await infino.count(dataset))
  })
}

test('what came before the bad row is in the dataset as often as the ledger says', async () => {
  const rows = Array.from({ length: 50_000 }, (_, i) => `${i},x\n`).join('')
  writeFileSync(join(work.dir, 'late.csv'), `a,b\n${rows}oops\n${rows}`)
  const args = ['load', 'late.csv', '--to', 'late', '--batch-rows', '5000']
  const ran = await run(args, { cwd: work.dir, env: infino.env })
  expect(ran.code).toBe(1)
  expect(ran.stderr).toContain('row 50001, line 50002')
  const ledger = ledgerOf(ran.stderr)
  expect(ledger.written).toBeGreaterThan(0)
  expect(ledger.read).toBe(ledger.written + ledger.rejected + ledger.unresolved)
  expect(await infino.count('late')).toBe(ledger.written)
})

test('wrong keys and a server that is down are told within seconds, and no secret is shown', async () => {
  writeFileSync(join(work.dir, 'ok.csv'), 'a\n1\n')
  const args = ['load', 'ok.csv', '--to', 'canary', '--summary', 'canary.json']
  const env = { INFINO_ACCESS_KEY: `AK-${CANARY}`, INFINO_SECRET_KEY: CANARY }
  const texts: string[] = []
  for (const debug of ['', '1']) {
    const shared = { ...env, ...(debug === '' ? {} : { INFINO_ETL_DEBUG: debug }) }
    const wrong = await run(args, {
      cwd: work.dir,
      env: { ...shared, INFINO_ENDPOINT: infino.env.INFINO_ENDPOINT },
    })
    expect(wrong.code).toBe(1)
    expect(wrong.stderr).toMatch(/ETL_INFINO_UNAUTHORIZED/)
    const down = await run(args, { cwd: work.dir, env: { ...shared, INFINO_ENDPOINT: 'http://127.0.0.1:9' } })
    expect(down.code).toBe(1)
    expect(down.stderr).toMatch(/cannot reach the server.*is the address right/)
    expect(down.ms).toBeLessThan(10_000)
    texts.push(wrong.stderr, wrong.stdout, down.stderr, down.stdout)
  }
  // Somebody tries to give it as an option, or as part of the address.
  for (const extra of [`--secret-key=${CANARY}`, `--endpoint=http://me:${CANARY}@127.0.0.1:9`]) {
    const ran = await run([...args, extra], { cwd: work.dir, env })
    expect(ran.code).toBe(2)
    texts.push(ran.stderr, ran.stdout)
  }
  expect(texts.join('\n')).not.toContain(CANARY)
})
