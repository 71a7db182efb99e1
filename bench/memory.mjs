// Memory of a load, as the operating system counts it: the loading process is its own, and so is the local Infino.
//
//   node bench/memory.mjs [--mb 500] [--line-mb 300] [--limit-mb 250]
//
// Loads a generated CSV, and then files that are one line each, which must end in a named error. The status is 0
// only when every peak is below the limit. Needs a built dist/, and Linux or another system with `ps`.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { infinoClient } from '../dist/index.js'

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
const MB = 1e6
const { values } = parseArgs({
  options: {
    mb: { type: 'string', default: '500' },
    'line-mb': { type: 'string', default: '300' },
    'limit-mb': { type: 'string', default: '250' },
  },
})
const limitMb = Number(values['limit-mb'])

const dir = mkdtempSync(join(tmpdir(), 'memory-'))
const { INFINO_ENDPOINT: _e, INFINO_ACCESS_KEY: _a, INFINO_SECRET_KEY: _s, ...env } = process.env
console.log(`Node ${process.version}, ${process.platform} ${process.arch}, ${availableParallelism()} cores`)
const server = spawn(process.execPath, [MAIN, 'serve', '--dir', join(dir, 'server')], {
  env,
  stdio: ['ignore', 'pipe', 'inherit'],
})
process.exitCode = 1
try {
  const keys = Object.fromEntries(
    [...(await firstOutput(server)).matchAll(/^export (\w+)=(.*)$/gm)].map((match) => [match[1], match[2]]),
  )
  const results = [await wholeFile(keys), await oneLine(keys, 'jsonl'), await oneLine(keys, 'csv')]
  process.exitCode = results.every(Boolean) ? 0 : 1
} finally {
  server.kill('SIGINT')
  await once(server, 'exit')
  rmSync(dir, { recursive: true, force: true })
}

async function wholeFile(keys) {
  const path = join(dir, 'big.csv')
  const rows = await writeCsv(path, Number(values.mb) * MB)
  const ran = await load(keys, [path, '--to', 'big'])
  const infino = infinoClient({
    endpoint: keys.INFINO_ENDPOINT,
    accessKey: keys.INFINO_ACCESS_KEY,
    secretKey: keys.INFINO_SECRET_KEY,
  })
  const count = await infino.count('big')
  await infino.close()
  const megabytes = statSync(path).size / MB
  console.log(
    `CSV of ${megabytes.toFixed(0)} MB, ${rows} rows: peak ${ran.peakMb.toFixed(0)} MB, ${ran.seconds.toFixed(1)} s, ` +
      `${(megabytes / ran.seconds).toFixed(1)} MB/s, status ${ran.code}, ${count} rows in the dataset`,
  )
  rmSync(path)
  return verdict(ran.code === 0 && count === rows && ran.peakMb < limitMb)
}

async function oneLine(keys, format) {
  const path = join(dir, `line.${format}`)
  await writeLine(path, format, Number(values['line-mb']) * MB)
  const ran = await load(keys, [path, '--to', `line-${format}`])
  const error = /\[(ETL_\w+)\]/.exec(ran.stderr)?.[1] ?? 'no error'
  console.log(
    `${format.toUpperCase()} with a line of ${values['line-mb']} MB: ${error}, status ${ran.code}, peak ${ran.peakMb.toFixed(0)} MB, ${ran.seconds.toFixed(1)} s`,
  )
  rmSync(path)
  return verdict(ran.code === 1 && error !== 'no error' && ran.peakMb < limitMb)
}

function verdict(held) {
  console.log(held ? `  below ${limitMb} MB` : `  NOT as it must be (peak below ${limitMb} MB)`)
  return held
}

async function load(keys, args) {
  const startedAt = performance.now()
  const child = spawn(process.execPath, [MAIN, 'load', ...args], {
    env: { ...env, ...keys },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let stderr = ''
  child.stderr.on('data', (text) => {
    stderr += text
  })
  let peakMb = 0
  const sampling = setInterval(() => {
    peakMb = Math.max(peakMb, rssMb(child.pid))
  }, 50)
  const [code] = await once(child, 'close')
  clearInterval(sampling)
  process.stdout.write(stderr.replace(/^(?=.)/gm, '  | '))
  return { code, stderr, peakMb, seconds: (performance.now() - startedAt) / 1000 }
}

/** The peak so far where the system keeps it, else what is used now. */
function rssMb(pid) {
  try {
    const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return kilobytes === undefined ? 0 : (Number(kilobytes) * 1024) / MB
  } catch {
    if (process.platform === 'linux') return 0
    try {
      return (Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) * 1024) / MB
    } catch {
      return 0
    }
  }
}

async function writeCsv(path, bytes) {
  const file = createWriteStream(path)
  let written = 0
  let rows = 0
  const put = async (text) => {
    written += text.length
    if (!file.write(text)) await once(file, 'drain')
  }
  await put('id,name,price,quantity,created,active,note\n')
  while (written < bytes) {
    let text = ''
    for (let i = 0; i < 1000; i++, rows++)
      text += `${rows},"item, number ${rows}",${(rows % 9973) / 100},${rows % 17},2024-0${1 + (rows % 9)}-1${rows % 10},${rows % 2 === 0},some words that make the row as long as rows are\n`
    await put(text)
  }
  file.end()
  await once(file, 'finish')
  return rows
}

async function writeLine(path, format, bytes) {
  const file = createWriteStream(path)
  file.write(format === 'csv' ? 'a,b\n1,"' : '{"a":"')
  const piece = 'x'.repeat(1e6)
  for (let written = 0; written < bytes; written += piece.length) {
    if (!file.write(piece)) await once(file, 'drain')
  }
  file.end(format === 'csv' ? '"\n' : '"}\n')
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
