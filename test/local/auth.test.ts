import { mkdtempSync, rmSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { amzDate, payloadHash, signRequest, UNSIGNED_PAYLOAD } from '../../src/http/sigv4.js'
import { type LocalInfino, startLocalInfino } from '../../src/local/index.js'
import { bulk, call, indexLines, NDJSON, raw } from './client.js'

let dir: string
let infino: LocalInfino
const messages: string[] = []

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'local-'))
  const log = (message: string) => messages.push(message)
  infino = await startLocalInfino({
    dir,
    accessKey: 'IAK_TEST/with/slashes',
    secretKey: 'the-secret',
    bodyLimitBytes: 100_000,
    uploadLimitBytes: 200_000,
    log: { debug: log, info: log, warn: log },
  })
  await call(infino, 'PUT', '/d')
})
afterAll(async () => {
  await infino.close()
  rmSync(dir, { recursive: true, force: true })
})

const unauthorized = { error: { type: 'unauthorized', reason: expect.any(String) }, status: 401 }

test('a request that is not signed, or not by these keys, or not now, is refused', async () => {
  const replies = [
    await raw(new URL(infino.url), 'GET', {}),
    await raw(new URL(infino.url), 'GET', { authorization: 'Bearer x' }),
    await call({ ...infino, secretKey: 'wrong' }, 'GET', '/'),
    await call({ ...infino, accessKey: 'IAK_OTHER' }, 'GET', '/'),
    await call(infino, 'GET', '/', { timeMs: Date.now() - 16 * 60_000 }),
    await call(infino, 'GET', '/', { timeMs: Date.now() + 16 * 60_000 }),
    await call(infino, 'GET', '/', { headers: { 'x-amz-date': amzDate(Date.now() - 60_000) } }),
    await call(infino, 'GET', '/', { headers: { 'x-amz-date': 'yesterday' } }),
    await call(infino, 'PUT', '/unsigned', { headers: { authorization: '' } }),
  ]
  for (const reply of replies) {
    expect(reply.status).toBe(401)
    expect(reply.json).toEqual(unauthorized)
    expect(reply.text).not.toContain('the-secret')
  }
  expect((await call(infino, 'GET', '/unsigned/_count')).status).toBe(404)
  expect((await call(infino, 'GET', '/', { timeMs: Date.now() - 14 * 60_000 })).status).toBe(200)
  expect(messages.join('\n')).not.toContain('the-secret')
})

test('a body other than the one signed is refused and not applied', async () => {
  const signed = indexLines([['1', { v: 1 }]])
  const sent = indexLines([['1', { v: 2 }]])
  const reply = await call(infino, 'POST', '/d/json', { ...NDJSON, body: sent, hash: payloadHash(signed) })
  expect(reply.status).toBe(401)
  expect((await call(infino, 'GET', '/d/doc/1')).status).toBe(404)
})

test('the odd forms in which the official SDK signs are accepted', async () => {
  await bulk(infino, 'd', indexLines([['a b;c', { v: 1 }]]))
  const url = new URL(`${infino.url}/d/doc/a%20b%3Bc?limit=1`)
  // The SDK signs the path decoded, and leaves out `params=`.
  const { url: _, ...parts } = { url, method: 'GET', payloadHash: payloadHash('') }
  const decoded = { pathname: '/d/doc/a b;c', search: '', host: url.host } as URL
  const headers = signRequest({
    ...parts,
    url: decoded,
    accessKey: infino.accessKey,
    secretKey: infino.secretKey,
    timeMs: Date.now(),
  })
  const reply = await raw(url, 'GET', headers)
  expect([reply.status, reply.json._id]).toEqual([200, 'a b;c'])
  expect(
    (
      await call(infino, 'POST', '/d/json', {
        ...NDJSON,
        body: indexLines([['u', {}]]),
        hash: UNSIGNED_PAYLOAD,
      })
    ).status,
  ).toBe(200)
})

test('a body over the limit is refused, announced or not, and the connection answers', async () => {
  const body = indexLines([['big', { pad: 'x'.repeat(120_000) }]])
  const announced = await bulk(infino, 'd', body)
  expect(announced.status).toBe(413)
  expect(announced.json).toMatchObject({ error: { type: 'content_too_long' }, status: 413 })
  const url = new URL(`${infino.url}/d/json`)
  const headers = signRequest({
    method: 'POST',
    url,
    payloadHash: payloadHash(body),
    accessKey: infino.accessKey,
    secretKey: infino.secretKey,
    timeMs: Date.now(),
  })
  const streamed = await new Promise<number>((resolve, reject) => {
    const request = httpRequest(
      url,
      { method: 'POST', headers: { ...headers, 'transfer-encoding': 'chunked' } },
      (response) => {
        response.resume()
        resolve(response.statusCode ?? 0)
      },
    )
    request.on('error', reject)
    for (let at = 0; at < body.length; at += 10_000) request.write(body.slice(at, at + 10_000))
    request.end()
  })
  expect(streamed).toBe(413)
  expect((await call(infino, 'GET', '/d/doc/big')).status).toBe(404)
})

test('a refused body is never held: memory stays flat under large ones', async () => {
  const chunk = Buffer.alloc(1024 * 1024, 0x20)
  const before = process.memoryUsage().rss
  for (let i = 0; i < 3; i += 1) {
    const url = new URL(`${infino.url}/d/json`)
    const headers = signRequest({
      method: 'POST',
      url,
      payloadHash: UNSIGNED_PAYLOAD,
      accessKey: infino.accessKey,
      secretKey: infino.secretKey,
      timeMs: Date.now(),
    })
    const status = await new Promise<number>((resolve, reject) => {
      const request = httpRequest(url, { method: 'POST', headers }, (response) => {
        response.resume()
        resolve(response.statusCode ?? 0)
      })
      request.on('error', reject)
      let left = 100
      const push = () => {
        for (; left > 0; left -= 1) if (!request.write(chunk)) break
        if (left > 0) {
          left -= 1
          request.once('drain', push)
        } else request.end()
      }
      push()
    })
    expect(status).toBe(413)
  }
  expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1024 * 1024)
})

test('a connection that breaks in the middle of a body applies nothing and harms nobody', async () => {
  const body = indexLines([['torn', { v: 1 }]])
  const url = new URL(`${infino.url}/d/json`)
  const headers = signRequest({
    method: 'POST',
    url,
    payloadHash: payloadHash(body),
    accessKey: infino.accessKey,
    secretKey: infino.secretKey,
    timeMs: Date.now(),
  })
  await new Promise<void>((resolve) => {
    const socket = connect(Number(url.port), url.hostname, () => {
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
      socket.write(
        `POST /d/json HTTP/1.1\r\n${lines.join('')}content-length: ${body.length}\r\n\r\n${body.slice(0, 20)}`,
        () => {
          socket.destroy()
          resolve()
        },
      )
    })
  })
  expect((await call(infino, 'GET', '/d/doc/torn')).status).toBe(404)
})

test('unknown routes, wrong methods and missing parts of the API are told apart', async () => {
  const seen = []
  for (const [method, path] of [
    ['GET', '/d/nothing'],
    ['GET', '/d/json'],
    ['POST', '/'],
    ['GET', '/d'],
    ['GET', '/a/b/c/d'],
    ['POST', '/source/x'],
    ['GET', '/_connectors/jobs/none'],
    ['GET', '/d/doc/%zz'],
    ['PUT', '/sql'],
  ] as const)
    seen.push((await call(infino, method, path)).status)
  expect(seen).toEqual([404, 405, 405, 405, 404, 501, 404, 404, 405])
  const gzip = await call(infino, 'POST', '/d/json', {
    ...NDJSON,
    body: 'x',
    headers: { 'content-encoding': 'gzip' },
  })
  expect(gzip.status).toBe(415)
})
