import { spawn } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { setTimeout as poll } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { workFolder } from '../support/folder.js'

const folder = workFolder()
const program = fileURLToPath(new URL('./file-run.mjs', import.meta.url))
const ROWS = 3000
const KILLS = 3

interface Run {
  readonly output: Promise<string>
  readonly kill: () => void
}

function start(args: readonly string[], before = ''): Run {
  const child = spawn('sh', ['-c', `${before} exec "$0" "$@"`, process.execPath, program, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const output = new Promise<string>((resolve) => {
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    child.on('close', () => resolve(text))
  })
  return { output, kill: () => child.kill('SIGKILL') }
}

const sizeOf = (path: string) => (existsSync(path) ? statSync(path).size : 0)

describe.each(['jsonl', 'csv'])('a %s file', (kind) => {
  it(`has every row once after ${KILLS} kills, each resumed`, async () => {
    const whole = folder.path(`whole.${kind}`)
    expect(await start([kind, whole, String(ROWS)]).output).toBe('complete\n')
    const path = folder.path(`killed.${kind}`)
    const args = [kind, path, String(ROWS), folder.path(`checkpoint-${kind}`)]
    let kills = 0
    for (; kills < KILLS; kills++) {
      const run = start(args)
      let over = false
      void run.output.then(() => {
        over = true
      })
      const until = (sizeOf(whole) * (kills + 1)) / (KILLS + 1)
      while (!over && sizeOf(`${path}.partial`) < until) await poll(5)
      if (over) break
      run.kill()
      await run.output
      expect(existsSync(path)).toBe(false)
    }
    expect(kills).toBeGreaterThan(0)
    expect(await start(args).output).toBe('complete\n')
    expect(readFileSync(path).equals(readFileSync(whole))).toBe(true)
  })

  it('that may not grow any further is a named error, and leaves nothing half done', async () => {
    const path = folder.path(`limited.${kind}`)
    const output = await start([kind, path, String(ROWS)], 'ulimit -f 64;').output
    expect(output).toMatch(/^ETL_FILE_FULL .*limited\./)
    expect(existsSync(path)).toBe(false)
    expect(existsSync(`${path}.partial`)).toBe(false)
  })
})
