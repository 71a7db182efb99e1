/** Runs the built program as a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { infinoClient } from '../../src/infino/client.js'
import type { InfinoClient } from '../../src/infino/types.js'

export const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
export const VEGA = fileURLToPath(new URL('../../node_modules/vega-datasets/data/', import.meta.url))

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  readonly ms: number
}

export interface RunOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string | Uint8Array
  /** Instead of the program itself. */
  readonly script?: string
}

/** Without the variables that would send rows somewhere. */
export function cleanEnv(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const env: Record<string, string> = {}
  for (const [name, value] of Object.entries(process.env))
    if (value !== undefined && !/^(INFINO|NODE_|VITEST|FORCE_COLOR)/.test(name)) env[name] = value
  return { ...env, ...extra }
}

export interface Started {
  readonly child: ChildProcess
  readonly stderr: () => string
  readonly stdout: () => string
  readonly done: Promise<Ran>
}

export function start(args: readonly string[], options: RunOptions): Started {
  const startedAt = performance.now()
  const child = spawn(process.execPath, [options.script ?? MAIN, ...args], {
    cwd: options.cwd,
    env: cleanEnv(options.env),
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const texts = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    texts.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    texts.stderr += text
  })
  child.stdin.on('error', () => {})
  if (options.input !== undefined) child.stdin.end(options.input)
  const done = new Promise<Ran>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, ...texts, ms: performance.now() - startedAt }))
  })
  return { child, done, stderr: () => texts.stderr, stdout: () => texts.stdout }
}

export function run(args: readonly string[], options: RunOptions): Promise<Ran> {
  return start(args, { input: '', ...options }).done
}

/** The counts of the last line. */
export function ledgerOf(stderr: string): Record<'read' | 'written' | 'rejected' | 'unresolved', number> {
  const line = stderr.trimEnd().split('\n').at(-1) ?? ''
  if (!line.startsWith('ledger: ')) throw new Error(`expected a ledger at the end of:\n${stderr}`)
  const count = (word: string) =>
    Number((new RegExp(`([\\d,]+) ${word}`).exec(line)?.[1] ?? '0').replaceAll(',', ''))
  return {
    read: count('read'),
    written: count('(?:written|valid)'),
    rejected: count('rejected'),
    unresolved: count('unresolved'),
  }
}

export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  ms = 15_000,
): Promise<void> {
  const deadline = performance.now() + ms
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${ms} ms for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

export function folder(): { readonly dir: string; readonly remove: () => void } {
  const dir = mkdtempSync(join(tmpdir(), 'cli-'))
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) }
}

export interface Serving {
  readonly dir: string
  readonly env: {
    readonly INFINO_ENDPOINT: string
    readonly INFINO_ACCESS_KEY: string
    readonly INFINO_SECRET_KEY: string
  }
  readonly client: InfinoClient
  /** Rows of a dataset, 0 where there is none. */
  readonly count: (dataset: string) => Promise<number>
  readonly child: ChildProcess
  readonly stop: () => Promise<Ran>
}

/** `infino-etl serve` as its own process. */
export async function serve(dir: string): Promise<Serving> {
  mkdirSync(dir, { recursive: true })
  const server = start(['serve', '--dir', dir, '--port', '0'], { cwd: dir })
  await until('the server', () => {
    if (server.child.exitCode !== null) throw new Error(`serve ended: ${server.stderr()}`)
    return server.stderr().includes('serving ')
  })
  const variable = (name: string) => new RegExp(`^export ${name}=(.*)$`, 'm').exec(server.stdout())?.[1] ?? ''
  const env = {
    INFINO_ENDPOINT: variable('INFINO_ENDPOINT'),
    INFINO_ACCESS_KEY: variable('INFINO_ACCESS_KEY'),
    INFINO_SECRET_KEY: variable('INFINO_SECRET_KEY'),
  }
  const client = infinoClient({
    endpoint: env.INFINO_ENDPOINT,
    accessKey: env.INFINO_ACCESS_KEY,
    secretKey: env.INFINO_SECRET_KEY,
  })
  return {
    dir,
    env,
    client,
    child: server.child,
    count: async (dataset) => {
      try {
        return await client.count(dataset)
      } catch (error) {
        if ((error as { code?: string }).code === 'ETL_INFINO_NOT_FOUND') return 0
        throw error
      }
    },
    stop: async () => {
      await client.close()
      server.child.kill('SIGINT')
      return server.done
    },
  }
}
