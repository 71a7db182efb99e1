// Kills a load with SIGKILL at random moments, again and again, starts it anew each time with the same
// checkpoint, and then counts in the dataset, not in the program: every row exactly once, with its values.
//
//   node test/faults/kill-loop.mjs [--kills 50] [--rows 1000000] [--seed 1]
//
// Prints the seed and figures; the status is 0 only when all rows are there once. Needs a built dist/.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { infinoClient } from '../../dist/index.js'

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '50' },
    rows: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
  },
})
const kills = Number(values.kills)
const rows = Number(values.rows)
const seed = Number(values.seed)
const random = mulberry32(seed)
console.log(`seed ${seed}, ${kills} kills, ${rows} rows`)

const dir = mkdtempSync(join(tmpdir(), 'kill-loop-'))
const { INFINO_ENDPOINT: _e, INFINO_ACCESS_KEY: _a, INFINO_SECRET_KEY: _s, ...env } = process.env
const server = spawn(process.execPath, [MAIN, 'serve', '--dir', join(dir, 'server')], {
  env,
  stdio: ['ignore', 'pipe', 'inherit'],
})
try {
  process.exitCode = 1
  const exported = await firstOutput(server)
  const keys = Object.fromEntries(
    [...exported.matchAll(/^export (\w+)=(.*)$/gm)].map((match) => [match[1], match[2]]),
  )
  await writeRows(join(dir, 'rows.csv'))
  process.exitCode = (await killAndResume(keys)) ? 0 : 1
} finally {
  server.kill('SIGINT')
  await once(server, 'exit')
  rmSync(dir, { recursive: true, force: true })
}

/** Loads into one dataset after another until there were enough kills, and counts in each of them. */
async function killAndResume(keys) {
  const startedAt = performance.now()
  const tally = { killed: 0, early: 0, runs: 0, longestMs: 3000 }
  for (let round = 1; tally.killed < kills; round++) {
    const told = await loadUntilDone(keys, `killed${round}`, tally)
    console.log(told.trimEnd().split('\n').at(-1))
    if (!(await everyRowOnce(keys, `killed${round}`))) return false
  }
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  console.log(
    `${tally.runs} runs, ${tally.killed} kills (${tally.early} before the first save), ${seconds} s`,
  )
  return true
}

async function loadUntilDone(keys, dataset, tally) {
  const checkpoint = join(dir, `${dataset}.ckpt`)
  const args = [
    'load',
    join(dir, 'rows.csv'),
    '--to',
    dataset,
    '--checkpoint',
    checkpoint,
    '--batch-rows',
    '500',
  ]
  for (;;) {
    tally.runs++
    const load = spawn(process.execPath, [MAIN, ...args], {
      env: { ...env, ...keys },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let told = ''
    let timer
    let reading
    const killIn = (ms) => {
      timer ??= setTimeout(() => load.kill('SIGKILL'), ms)
    }
    // One kill in four at any moment from the start, the others once rows are read, however slow or fast the
    // machine is. The position is saved once a second, so that some runs get further than a save and some do not.
    const whileReading = random() > 0.25
    const delayMs = random() * (whileReading ? tally.longestMs : 1000)
    if (tally.killed < kills && !whileReading) killIn(delayMs)
    load.stderr.on('data', (text) => {
      told += text
      if (!told.includes('reading ')) return
      reading ??= performance.now()
      if (tally.killed < kills && whileReading) killIn(delayMs)
    })
    const [code, signal] = await once(load, 'close')
    clearTimeout(timer)
    if (signal === 'SIGKILL') {
      tally.killed++
      if (!existsSync(checkpoint)) tally.early++
      if (tally.killed % 10 === 0)
        console.log(`${tally.killed} kills, the checkpoint has acknowledged ${acked(checkpoint)} rows`)
      continue
    }
    if (code !== 0) throw new Error(`a resumed load ended with status ${code}:\n${told}`)
    // Done before the kill came: the next ones come sooner.
    if (tally.killed < kills)
      tally.longestMs = Math.max(200, Math.min(tally.longestMs, performance.now() - reading))
    return told
  }
}

/** Asks the dataset. `check` is made from `n`, so that a row with another row's values is found. */
async function everyRowOnce(keys, dataset) {
  const infino = infinoClient({
    endpoint: keys.INFINO_ENDPOINT,
    accessKey: keys.INFINO_ACCESS_KEY,
    secretKey: keys.INFINO_SECRET_KEY,
  })
  const { rows: found } = await infino.sql(
    `SELECT count(*) AS rows, count(DISTINCT n) AS numbers, count(DISTINCT _id) AS ids, min(n) AS least, max(n) AS most,
     count(*) FILTER (WHERE "check" <> 'row ' || n || ' has ' || (n * 7)) AS wrong FROM ${dataset}`,
  )
  const counted = await infino.count(dataset)
  await infino.close()
  const expected = { rows, numbers: rows, ids: rows, least: 0, most: rows - 1, wrong: 0 }
  console.log(JSON.stringify(found[0]), `count ${counted}`)
  const exact =
    counted === rows && Object.entries(expected).every(([name, value]) => found[0][name] === value)
  console.log(exact ? 'every row exactly once' : `expected ${JSON.stringify(expected)}`)
  return exact
}

async function writeRows(path) {
  const file = createWriteStream(path)
  file.write('n,check,padding\n')
  for (let n = 0; n < rows; n++) {
    if (!file.write(`${n},row ${n} has ${n * 7},"${'x'.repeat(n % 60)}"\n`)) await once(file, 'drain')
  }
  file.end()
  await once(file, 'finish')
}

async function firstOutput(child) {
  let text = ''
  for await (const chunk of child.stdout) {
    text += chunk
    if (text.includes('INFINO_SECRET_KEY')) return text
  }
  throw new Error('the server did not start')
}

function acked(checkpoint) {
  if (!existsSync(checkpoint)) return 0
  const { lanes } = JSON.parse(readFileSync(checkpoint, 'utf8'))
  return Object.values(lanes).reduce((sum, lane) => sum + lane.acked, 0)
}

function mulberry32(start) {
  let state = start >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
