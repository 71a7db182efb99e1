import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { inspect } from 'node:util'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import type { EtlError } from '../../src/errors.js'
import { type Auth, sigv4Auth } from '../../src/http/auth.js'
import { type HttpClient, type HttpClientOptions, httpClient, verdictFor } from '../../src/http/client.js'
import { Secret } from '../../src/http/redact.js'

const open: { server: Server; sockets: Set<Socket> }[] = []
const clients: HttpClient[] = []

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
  for (const { server, sockets } of open.splice(0)) {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
})

async function listen(
  server: Server,
): Promise<{ origin: string; sockets: Set<Socket>; connections: () => number }> {
  const sockets = new Set<Socket>()
  let connections = 0
  server.on('connection', (socket: Socket) => {
    connections++
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => {})
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push({ server, sockets })
  const { port } = server.address() as AddressInfo
  return { origin: `http://127.0.0.1:${port}`, sockets, connections: () => connections }
}

const serve = (handler: (request: IncomingMessage, response: ServerResponse) => void) =>
  listen(createServer(handler))

/** A server that answers any request with these bytes and does what comes after. */
const raw = (text: string, then: (socket: Socket) => void = () => {}) =>
  listen(
    createTcpServer((socket) => {
      socket.once('data', () => socket.write(text, () => then(socket)))
    }),
  )

function client(options: HttpClientOptions = {}): HttpClient {
  const made = httpClient(options)
  clients.push(made)
  return made
}

async function failureOf(promise: Promise<unknown>): Promise<EtlError> {
  return promise.then(
    () => {
      throw new Error('expected a failure')
    },
    (error: EtlError) => error,
  )
}

const get = (origin: string, path = '/') => ({ method: 'GET', url: new URL(path, origin) })

describe('an answer', () => {
  it('comes whole, over connections that are used again', async () => {
    const { origin, connections } = await serve((request, response) => {
      const pieces: Buffer[] = []
      request.on('data', (piece: Buffer) => pieces.push(piece))
      request.on('end', () =>
        response.end(JSON.stringify({ got: Buffer.concat(pieces).toString(), url: request.url })),
      )
    })
    const http = client()
    for (let i = 0; i < 10; i++) {
      const answer = await http.request({
        method: 'POST',
        url: new URL(`${origin}/a?b=${i}`),
        body: Buffer.from('ü'),
      })
      expect(JSON.parse(answer.body.toString())).toEqual({ got: 'ü', url: `/a?b=${i}` })
    }
    // A request may start a moment before the connection of the last one is free.
    expect(connections()).toBeLessThanOrEqual(2)
  })

  it('is decompressed', async () => {
    const { origin } = await serve((request, response) => {
      const gzip = request.url === '/gzip'
      response.setHeader('content-encoding', gzip ? 'gzip' : 'br')
      response.end((gzip ? gzipSync : brotliCompressSync)('text'))
    })
    for (const path of ['/gzip', '/br'])
      expect((await client().request(get(origin, path))).body.toString()).toBe('text')
  })

  it('that is too long is left, before and after decompression', async () => {
    const bomb = gzipSync(Buffer.alloc(5_000_000))
    const { origin } = await serve((request, response) => {
      if (request.url === '/gzip') response.setHeader('content-encoding', 'gzip').end(bomb)
      else response.end(Buffer.alloc(200_000))
    })
    expect(bomb.length).toBeLessThan(100_000)
    for (const path of ['/', '/gzip']) {
      const failure = await failureOf(client({ responseBytes: 100_000 }).request(get(origin, path)))
      expect(failure).toMatchObject({ code: 'ETL_HTTP_TOO_LARGE', verdict: 'never' })
      expect(failure.message).toContain('100000 bytes')
    }
  })

  it('in an encoding that is none, or broken, is an error', async () => {
    const { origin } = await serve((request, response) => {
      response.setHeader('content-encoding', request.url === '/gzip' ? 'gzip' : 'zip, gzip')
      response.end('no gzip')
    })
    for (const path of ['/', '/gzip'])
      expect((await failureOf(client().request(get(origin, path)))).code).toBe('ETL_HTTP_ENCODING')
  })
})

describe('a status', () => {
  it('has a verdict, and the wait that the server asks for', async () => {
    const { origin } = await serve((request, response) => {
      response.statusCode = Number(request.url!.slice(1, 4))
      if (request.url!.includes('date'))
        response.setHeader('retry-after', new Date(Date.now() + 60_000).toUTCString())
      else response.setHeader('retry-after', '3')
      response.end('{"error":"no"}')
    })
    const verdicts = {
      again: [408, 425, 429, 500, 502, 503, 504],
      split: [413],
      never: [400, 401, 403, 404, 405, 409, 410, 422, 501, 505],
    }
    for (const [verdict, statuses] of Object.entries(verdicts))
      for (const status of statuses) {
        expect(verdictFor(status)).toBe(verdict)
        const failure = await failureOf(client().request(get(origin, `/${status}`)))
        expect(failure).toMatchObject({
          code: 'ETL_HTTP_STATUS',
          verdict,
          retryAfterMs: 3000,
          context: { status },
        })
        expect(failure.message).toBe(`GET ${origin}/${status}: status ${status}: no`)
      }
    const { retryAfterMs } = await failureOf(client().request(get(origin, '/503/date')))
    expect(retryAfterMs).toBeGreaterThan(50_000)
    expect(retryAfterMs).toBeLessThanOrEqual(60_000)
    const chosen = { ...get(origin, '/400'), verdicts: { 400: 'split' as const } }
    expect((await failureOf(client().request(chosen))).verdict).toBe('split')
  })

  it('that arrives before the body was sent is believed', async () => {
    const { origin } = await serve((_request, response) => {
      response.writeHead(413, { connection: 'close' }).end('too large')
    })
    const failure = await failureOf(
      client().request({ method: 'POST', url: new URL(origin), body: Buffer.alloc(20_000_000) }),
    )
    expect(failure).toMatchObject({ verdict: 'split', context: { status: 413 } })
  })

  it('that redirects is not followed', async () => {
    let asked = 0
    const { origin: elsewhere } = await serve((_request, response) => {
      asked++
      response.end('secret page')
    })
    for (const status of [301, 302, 303, 307, 308]) {
      const { origin } = await serve((_request, response) => {
        response.writeHead(status, { location: `${elsewhere}/?token=abc` }).end()
      })
      const failure = await failureOf(client().request(get(origin)))
      expect(failure).toMatchObject({ code: 'ETL_HTTP_REDIRECT', verdict: 'never', context: { status } })
      expect(failure.message).toContain(elsewhere)
      expect(failure.message).not.toContain('abc')
    }
    expect(asked).toBe(0)
  })
})

describe('a connection', () => {
  const cases: [string, () => Promise<{ origin: string }>][] = [
    ['reset before the answer', () => raw('', (socket) => socket.resetAndDestroy())],
    ['closed in the headers', () => raw('HTTP/1.1 200 OK\r\ncontent-le', (socket) => socket.end())],
    [
      'closed in the body',
      () => raw('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1234', (socket) => socket.end()),
    ],
    [
      'closed in a chunk',
      () => raw('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12', (socket) => socket.end()),
    ],
    ['to something else', () => raw('220 mail.example ESMTP\r\n', (socket) => socket.end())],
  ]
  for (const [what, start] of cases)
    it(`${what} may be tried again`, async () => {
      const { origin } = await start()
      const failure = await failureOf(client().request(get(origin)))
      expect(failure).toMatchObject({ code: 'ETL_HTTP_TRANSPORT', verdict: 'again' })
      expect(failure.context.unsent).toBeUndefined()
    })

  it('that is refused provably sent nothing', async () => {
    const { origin } = await serve(() => {})
    const { server } = open.pop()!
    await new Promise((resolve) => server.close(resolve))
    for (const url of [origin, origin.replace('127.0.0.1', 'localhost')])
      expect(await failureOf(client().request(get(url)))).toMatchObject({
        code: 'ETL_HTTP_CONNECT',
        verdict: 'again',
        context: { unsent: true },
        message: expect.stringContaining('ECONNREFUSED'),
      })
  })

  it('that stalls ends by the time-out that it ran into', async () => {
    const silent = await raw('')
    const half = await raw('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n12')
    const drip = await raw('HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n', (socket) => {
      const timer = setInterval(() => socket.write('x'), 20)
      socket.once('close', () => clearInterval(timer))
    })
    // The first two are exact to about a second only.
    const options = { headersTimeoutMs: 200, bodyTimeoutMs: 200 }
    const cases = [
      [silent.origin, 'headers', 10_000],
      [half.origin, 'body', 10_000],
      [drip.origin, 'total', 500],
    ] as const
    const ends = cases.map(async ([origin, which, totalTimeoutMs]) => {
      const failure = await failureOf(client({ ...options, totalTimeoutMs }).request(get(origin)))
      expect(failure).toMatchObject({
        code: 'ETL_HTTP_TIMEOUT',
        verdict: 'again',
        context: { timeout: which },
      })
      expect(failure.context.unsent).toBeUndefined()
    })
    await Promise.all(ends)
  })

  it('is let go when the signal fires, before and during a request', async () => {
    const { origin, sockets } = await raw('')
    const stop = new AbortController()
    const running = failureOf(client().request(get(origin), { signal: stop.signal }))
    while (sockets.size === 0) await new Promise(setImmediate)
    stop.abort(new Error('enough'))
    expect(await running).toMatchObject({ code: 'ETL_ABORTED', message: 'stopped: enough' })
    while (sockets.size > 0) await new Promise(setImmediate)
    expect(await failureOf(client().request(get(origin), { signal: stop.signal }))).toMatchObject({
      code: 'ETL_ABORTED',
    })
  })

  it('is closed with the client, and opened again by a later request', async () => {
    const { origin, sockets } = await serve((_request, response) => response.end('{}'))
    const http = client()
    await http.request(get(origin))
    expect(sockets.size).toBe(1)
    await http.close()
    while (sockets.size > 0) await new Promise(setImmediate)
    await http.close()
    expect((await http.request(get(origin))).status).toBe(200)
  })
})

describe('credentials', () => {
  const secret = 'CANARY-secret-value'
  const authFor = (origin: string): Auth =>
    sigv4Auth(origin, new Secret('IAK_CANARY_0001'), new Secret(secret))

  it('go to their own origin only', async () => {
    const seen: IncomingMessage['headers'][] = []
    const handler = (request: IncomingMessage, response: ServerResponse) => {
      seen.push(request.headers)
      response.end('{}')
    }
    const own = await serve(handler)
    const other = await serve(handler)
    const http = client({ auth: authFor(own.origin) })
    await http.request(get(own.origin))
    await http.request(get(other.origin))
    await http.request(get(own.origin.replace('127.0.0.1', 'localhost')))
    expect(seen[0]!.authorization).toContain('IAK_CANARY_0001')
    for (const headers of seen.slice(1)) {
      expect(headers.authorization).toBeUndefined()
      expect(Object.keys(headers).filter((name) => name.startsWith('x-amz'))).toEqual([])
    }
  })

  it('are made anew for each request, with its time', async () => {
    const dates: unknown[] = []
    const { origin } = await serve((request, response) => {
      dates.push(request.headers['x-amz-date'])
      response.end('{}')
    })
    let now = 0
    const clock = { now: () => now, sleep: async () => {} }
    const http = client({ auth: authFor(origin), clock })
    await http.request(get(origin))
    now = 3_600_000
    await http.request(get(origin))
    expect(dates).toEqual(['19700101T000000Z', '19700101T010000Z'])
  })

  it('show in no log line, and queries neither', async () => {
    const { origin } = await serve((request, response) => {
      response.statusCode = request.url!.startsWith('/bad') ? 400 : 200
      response.end(`you sent ${request.headers.authorization} and ${secret}`)
    })
    const seen: string[] = []
    const note = (message: string, fields?: unknown) => seen.push(`${message} ${inspect(fields)}`)
    const log = { debug: note, info: note, warn: note }
    const http = client({ auth: authFor(origin) })
    await http.request(get(origin, '/good?token=abc'), { log })
    const failure = await failureOf(http.request(get(origin, `/bad/${secret}?token=abc`), { log }))
    expect(seen).toHaveLength(2)
    expect(seen[0]).toContain(`GET ${origin}/good: 200 in `)
    for (const text of [...seen, inspect(failure, { depth: 9 }), inspect(http, { depth: 9 })])
      for (const hidden of [secret, 'IAK_CANARY', 'abc']) expect(text).not.toContain(hidden)
  })

  it('show in no cause, where a broken answer is kept', async () => {
    const { origin } = await raw(`HTTP/1.1 200 OK\r\nbad header ${secret}\r\n\r\n`)
    const failure = await failureOf(client({ auth: authFor(origin) }).request(get(origin)))
    expect(failure.code).toBe('ETL_HTTP_TRANSPORT')
    expect(inspect(failure, { depth: 9, showHidden: true })).not.toContain(secret)
    expect(inspect(failure.cause, { depth: 9, showHidden: true })).toContain('***')
  })
})

it('refuses a header that would smuggle another one in', async () => {
  const { origin } = await serve((_request, response) => response.end('{}'))
  const failure = await failureOf(client().request({ ...get(origin), headers: { 'x-a': 'b\r\nx-c: d' } }))
  expect(failure.verdict).toBe('never')
})

it('checks its options', () => {
  expect(() => httpClient({ connectTimeoutMs: 0 })).toThrow(/connectTimeoutMs/)
  expect(() => httpClient({ responseBytes: -1 })).toThrow(/responseBytes/)
})
