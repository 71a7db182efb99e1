/** Starts and stops a local Infino. */

import { mkdirSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Logger } from '../contracts.js'
import { EtlError, messageOf } from '../errors.js'
import { systemClock } from '../internal/clock.js'
import { nonEmptyString, wholeNumber } from '../internal/options.js'
import { authenticate, type LocalKeys, localKeys } from './auth.js'
import { discard } from './body.js'
import type { Context } from './context.js'
import { Imports } from './imports.js'
import { ApiError, errorBody, send } from './reply.js'
import { handle } from './routes.js'
import { Store } from './store.js'

/** How long requests under way may take to end when the server is closed. */
const CLOSE_GRACE_MS = 10_000

export interface LocalInfinoOptions {
  /** Where the datasets and the keys are kept; made where it is missing. */
  readonly dir: string
  /** Default 0: a free one. */
  readonly port?: number | undefined
  /** Default `127.0.0.1`. */
  readonly host?: string | undefined
  /** Default: the pair in `<dir>/keys.json`, made on first use. Give both or neither. */
  readonly accessKey?: string | undefined
  readonly secretKey?: string | undefined
  /** A request body over this is answered with 413. Default 4 MiB. File uploads are measured by `uploadLimitBytes`. */
  readonly bodyLimitBytes?: number | undefined
  /** The largest file for `/import/file`. Default 16 GiB. */
  readonly uploadLimitBytes?: number | undefined
  /** What DuckDB may use for its buffers. Default 256 MiB. */
  readonly memoryBytes?: number | undefined
  /** A query that takes longer is stopped and answered with 408. Default 60,000. */
  readonly queryTimeoutMs?: number | undefined
  /** One line per failed request; nothing by default. */
  readonly log?: Logger | undefined
}

export interface LocalInfino {
  /** Such as `http://127.0.0.1:49152`. */
  readonly url: string
  readonly accessKey: string
  readonly secretKey: string
  /** Answers what is under way, then releases port and directory. */
  close(): Promise<void>
}

/**
 * An Infino on this machine: the same HTTP API over a DuckDB file in `dir`.
 *
 *     const infino = await startLocalInfino({ dir: '.infino' })
 *     // infino.url, infino.accessKey, infino.secretKey
 *     await infino.close()
 *
 * Errors: `ETL_DEPENDENCY_MISSING` without `@duckdb/node-api`, `ETL_LOCAL_IN_USE` where another one has the
 * directory, `ETL_LOCAL_LISTEN` where the port is taken, `ETL_LOCAL_OPEN`, `ETL_LOCAL_KEYS`, `ETL_OPTION_INVALID`.
 */
export async function startLocalInfino(options: LocalInfinoOptions): Promise<LocalInfino> {
  const dir = nonEmptyString('dir', options.dir)
  const host = nonEmptyString('host', options.host ?? '127.0.0.1')
  const port = wholeNumber('port', options.port, 0, 0)
  const limits = {
    bodyLimitBytes: wholeNumber('bodyLimitBytes', options.bodyLimitBytes, 4 * 1024 * 1024),
    uploadLimitBytes: wholeNumber('uploadLimitBytes', options.uploadLimitBytes, 16 * 1024 ** 3),
    queryTimeoutMs: wholeNumber('queryTimeoutMs', options.queryTimeoutMs, 60_000),
  }
  const memoryBytes = wholeNumber('memoryBytes', options.memoryBytes, 256 * 1024 * 1024, 64 * 1024 * 1024)
  const keys = keysOf(options, dir)
  makeDirectory(dir)
  const store = await Store.open(dir, { memoryBytes })
  try {
    const imports = await Imports.open(store, dir)
    const context: Context = { store, imports, ...limits }
    const server = createServer({ requestTimeout: 0 }, (request, response) => {
      void answer(context, keys, request, response, options.log)
    })
    await listen(server, host, port)
    const address = server.address() as AddressInfo
    const name = address.family === 'IPv6' ? `[${address.address}]` : address.address
    let closing: Promise<void> | undefined
    return {
      url: `http://${name}:${address.port}`,
      ...keys,
      close: () => {
        closing ??= stop(server, imports, store)
        return closing
      },
    }
  } catch (error) {
    await store.close()
    throw error
  }
}

function keysOf(options: LocalInfinoOptions, dir: string): LocalKeys {
  const { accessKey, secretKey } = options
  if (accessKey === undefined && secretKey === undefined) {
    makeDirectory(dir)
    return localKeys(dir)
  }
  return { accessKey: nonEmptyString('accessKey', accessKey), secretKey: keyText(secretKey) }
}

/** Checked without being quoted. */
function keyText(secretKey: string | undefined): string {
  if (typeof secretKey === 'string' && secretKey !== '') return secretKey
  throw new EtlError('ETL_OPTION_INVALID', 'option secretKey: expected a non-empty string beside accessKey', {
    context: { option: 'secretKey' },
  })
}

function makeDirectory(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true })
  } catch (cause) {
    throw new EtlError('ETL_LOCAL_OPEN', `cannot make the directory ${dir}: ${messageOf(cause)}`, {
      context: { file: dir },
      cause,
    })
  }
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (cause: Error) =>
      reject(
        new EtlError('ETL_LOCAL_LISTEN', `cannot listen on ${host}:${port}: ${cause.message}`, { cause }),
      )
    server.once('error', failed)
    server.listen(port, host, () => {
      server.off('error', failed)
      resolve()
    })
  })
}

async function stop(server: Server, imports: Imports, store: Store): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  await imports.stop()
  // A client that never ends its request, or never reads its answer, does not keep the directory.
  const settled = new AbortController()
  const cut = systemClock.sleep(CLOSE_GRACE_MS, settled.signal).then(
    () => server.closeAllConnections(),
    () => {},
  )
  await closed
  settled.abort()
  await cut
  await store.close()
}

async function answer(
  context: Context,
  keys: LocalKeys,
  request: IncomingMessage,
  response: ServerResponse,
  log: Logger | undefined,
): Promise<void> {
  response.on('error', () => {})
  try {
    authenticate(request, keys, Date.now())
    if (request.headers['content-encoding'] !== undefined)
      throw new ApiError(
        415,
        'unsupported_media_type',
        'compressed bodies are not supported: send the plain bytes',
      )
    await handle(context, request, response)
  } catch (error) {
    const known = error instanceof ApiError
    const full = !known && /no space left/i.test(messageOf(error))
    const status = known ? error.status : full ? 507 : 500
    const type = known ? error.type : full ? 'insufficient_storage' : 'internal_server_error'
    log?.[known ? 'info' : 'warn'](
      `${request.method} ${request.url?.split('?')[0]} ${status} ${messageOf(error)}`,
    )
    discard(request, response)
    if (response.headersSent) response.destroy()
    else send(response, status, errorBody(status, type, messageOf(error)))
  }
}
