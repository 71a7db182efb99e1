/** Which Infino a command talks to: that of an address, or the local one in a directory. */
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EtlError, isEtlError } from '../errors.js'
import { infinoClient } from '../infino/client.js'
import type { InfinoClient } from '../infino/types.js'
import { systemClock } from '../internal/clock.js'
import { keepSecret } from './tell.js'

export const LOCAL_DIR = '.infino'
const SERVER_FILE = 'server.json'
/** What is written is safe once it was acknowledged, so closing is not waited for any longer than this. */
const CLOSE_MS = 500

export interface ConnectFlags {
  readonly endpoint?: string
  readonly local?: string | true
}

export interface Connected {
  readonly client: InfinoClient
  /** Names it in a message. */
  readonly place: string
  readonly local: boolean
  /** Where this program keeps what it remembers. */
  readonly dir: string
  /** One line about a choice that the user did not make; absent where there was none. */
  readonly note?: string
  readonly close: () => Promise<void>
}

/** Decides before anything is opened. */
export function chosen(flags: ConnectFlags): { readonly endpoint: string } | { readonly dir: string } {
  if (flags.endpoint !== undefined && flags.local !== undefined)
    throw new EtlError('ETL_CLI_USAGE', '--endpoint and --local exclude each other: give one of them')
  const endpoint = flags.endpoint ?? (flags.local === undefined ? process.env.INFINO_ENDPOINT : undefined)
  if (endpoint !== undefined && endpoint !== '') return { endpoint }
  const dir = typeof flags.local === 'string' ? flags.local : LOCAL_DIR
  if (statSync(dir, { throwIfNoEntry: false })?.isFile())
    throw new EtlError(
      'ETL_CLI_USAGE',
      `--local ${dir}: expected a directory, got a file; write --local behind the files, or --local=<dir>`,
    )
  return { dir }
}

/** `make`: a local Infino that is not there yet is made. */
export async function connect(flags: ConnectFlags, make: boolean, signal: AbortSignal): Promise<Connected> {
  const choice = chosen(flags)
  if ('endpoint' in choice) {
    const client = infinoClient({ endpoint: choice.endpoint })
    await mustAnswer(choice.endpoint, signal)
    return { client, place: client.endpoint, local: false, dir: LOCAL_DIR, close: () => soon(client.close()) }
  }
  const { dir } = choice
  if (!make && !existsSync(join(dir, 'keys.json')))
    throw new EtlError(
      'ETL_CLI_NO_LOCAL',
      `there is no local Infino in ${dir}: load something into it first, or give the address of another with --endpoint`,
    )
  const local = (await running(dir)) ?? (await started(dir))
  const keys = process.env.INFINO_ACCESS_KEY
    ? '; INFINO_ACCESS_KEY is for another, for which --endpoint is missing'
    : ''
  return {
    ...local,
    place: `the local Infino in ${dir}`,
    local: true,
    dir,
    ...(flags.local === undefined
      ? { note: `no endpoint given: using the local Infino in ${dir}${keys}` }
      : {}),
  }
}

/** A wrong address or wrong keys are told at once, where a load under way would be patient. */
async function mustAnswer(endpoint: string, signal: AbortSignal): Promise<void> {
  const client = infinoClient({ endpoint, retry: { attempts: 3 } })
  try {
    await client.ping({ signal })
  } catch (error) {
    // An answer, be it 404, is a sign of life.
    const status = isEtlError(error) ? error.context.status : undefined
    if (status === undefined || status === 401) throw error
  } finally {
    await soon(client.close())
  }
}

/** Waits a moment at most. */
async function soon(closing: Promise<unknown>): Promise<void> {
  await Promise.race([closing, systemClock.sleep(CLOSE_MS)])
}

interface Local {
  readonly client: InfinoClient
  readonly close: () => Promise<void>
}

/** The one that `infino-etl serve` runs on the directory. */
async function running(dir: string): Promise<Local | undefined> {
  const server = readServer(dir)
  if (server === undefined) return undefined
  const { localKeys } = await import('../local/auth.js')
  const client = clientOf(server.url, localKeys(dir), {
    retry: { attempts: 1 },
    http: { totalTimeoutMs: 3000 },
  })
  try {
    await client.ping()
  } catch {
    // Left behind by one that was killed; its port may be somebody else's by now.
    return undefined
  } finally {
    await client.close()
  }
  const steady = clientOf(server.url, localKeys(dir))
  return { client: steady, close: () => soon(steady.close()) }
}

async function started(dir: string): Promise<Local> {
  const { startLocalInfino } = await import('../local/index.js')
  let infino: Awaited<ReturnType<typeof startLocalInfino>>
  try {
    infino = await startLocalInfino({ dir })
  } catch (error) {
    if (!isEtlError(error) || error.code !== 'ETL_LOCAL_IN_USE') throw error
    throw new EtlError(
      error.code,
      `another process is using the local Infino in ${dir}: wait until it is done, or start one for everybody with: infino-etl serve --dir ${dir}`,
      { context: error.context, cause: error },
    )
  }
  const client = clientOf(infino.url, infino)
  return {
    client,
    close: async () => {
      await soon(client.close().then(() => infino.close()))
    },
  }
}

function clientOf(
  endpoint: string,
  keys: { readonly accessKey: string; readonly secretKey: string },
  options: Parameters<typeof infinoClient>[0] = {},
): InfinoClient {
  keepSecret(keys.secretKey)
  return infinoClient({ ...options, endpoint, accessKey: keys.accessKey, secretKey: keys.secretKey })
}

/** Lets other commands find a server. */
export function announceServer(dir: string, url: string): void {
  writeFileSync(join(dir, SERVER_FILE), `${JSON.stringify({ url, pid: process.pid })}\n`, { mode: 0o600 })
}

export function withdrawServer(dir: string): void {
  rmSync(join(dir, SERVER_FILE), { force: true })
}

function readServer(dir: string): { readonly url: string } | undefined {
  try {
    const text = readFileSync(join(dir, SERVER_FILE), 'utf8')
    const { url, pid } = JSON.parse(text) as { url: unknown; pid: unknown }
    return typeof url === 'string' && typeof pid === 'number' && isAlive(pid) ? { url } : undefined
  } catch {
    return undefined
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
