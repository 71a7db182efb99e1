// Runs one contender once, in a process of its own.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const METER = new URL('../meter.mjs', import.meta.url).href
const CHILD = fileURLToPath(new URL('../child.mjs', import.meta.url))
const LIMIT_MS = 20 * 60_000

let running
process.on('exit', () => running?.kill('SIGKILL'))

/** `{ wallMs, cpuMs, rssBytes, delivered, sum }`, or `{ error }`. `flags` are passed to Node. */
export async function measure({ one, contender, given, folder, flags = [] }) {
  const { command } = one.contenders[contender]
  const meter = join(folder, 'meter.json')
  rmSync(meter, { force: true })
  const script = command === undefined ? [CHILD] : command(given)
  const env = {
    ...process.env,
    BENCH_METER: meter,
    BENCH_RUN: JSON.stringify({ name: one.name, contender, ...given }),
  }
  const started = performance.now()
  const child = spawn(process.execPath, [...flags, '--import', METER, ...script], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running = child
  const said = []
  child.stdout.on('data', (piece) => said.push(piece))
  child.stderr.on('data', (piece) => said.push(piece))
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS)
  const [code, signal] = await new Promise((resolve) => child.on('close', (...end) => resolve(end)))
  const wallMs = performance.now() - started
  clearTimeout(timer)
  running = undefined
  if (code !== 0 || !existsSync(meter)) {
    const text = Buffer.concat(said).toString().trim().split('\n').slice(0, 12).join('\n')
    return { error: `ended with ${signal ?? `status ${code}`}: ${text}` }
  }
  const { cpuMs, rssBytes, window } = JSON.parse(readFileSync(meter, 'utf8'))
  const { delivered, sum } = window ?? {}
  if (one.wholeProcess) return { wallMs, cpuMs, rssBytes, delivered, sum }
  return { wallMs: window.wallMs, cpuMs: window.cpuMs, rssBytes, delivered, sum }
}
