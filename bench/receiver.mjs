// The receiving end, a process of its own: takes uploads as Infino does, and bulk requests as Elasticsearch does,
// counts rows by their line breaks and answers with one item per row. Under `check` it also verifies signatures
// and parses every row for the checksum; that is for the untimed run.
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import { Checksum } from './lib/checksum.mjs'
import { KEYS } from './lib/keys.mjs'

const LF = 10
const PRODUCT = { 'x-elastic-product': 'Elasticsearch' }
const MAX_ITEMS = 65_536

// Both kinds of client get the same short items; those of a real Elasticsearch are half as long again.
const ITEM =
  '{"index":{"_index":"bench","_id":"Kx3v0pABqHq0n6mX1234","_version":1,"result":"created","status":201}}'
const HEAD = Buffer.from('{"took":1,"errors":false,"items":[')
const ITEMS = Buffer.from(`,${ITEM}`.repeat(MAX_ITEMS)).subarray(1)
const TAIL = Buffer.from(']}')
const STEP = ITEM.length + 1

let stats
let check = false
let sigv4

function reset() {
  stats = { requests: 0, rows: 0, bytes: 0, sum: undefined, signed: 0, problem: undefined }
  if (check) stats.sum = new Checksum()
}
reset()

function countLines(chunk) {
  let count = 0
  for (let at = chunk.indexOf(LF); at !== -1; at = chunk.indexOf(LF, at + 1)) count++
  return count
}

function take(request, response, headers) {
  let lines = 0
  let last = LF
  const kept = []
  request.on('data', (chunk) => {
    stats.bytes += chunk.length
    lines += countLines(chunk)
    last = chunk[chunk.length - 1]
    if (check) kept.push(chunk)
  })
  request.on('end', () => {
    if (last !== LF) lines++
    // An action and a row each.
    const rows = lines / 2
    stats.requests++
    stats.rows += rows
    if (check) verify(request, Buffer.concat(kept))
    const items = ITEMS.subarray(0, rows * STEP - 1)
    response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': HEAD.length + items.length + TAIL.length,
      ...headers,
    })
    response.write(HEAD)
    response.write(items)
    response.end(TAIL)
  })
}

function verify(request, body) {
  const lines = body.toString().trimEnd().split('\n')
  for (let i = 0; i < lines.length; i += 2) {
    if (!lines[i].startsWith('{"index":'))
      stats.problem ??= `expected an action line, got ${lines[i].slice(0, 80)}`
    stats.sum.row(JSON.parse(lines[i + 1]))
  }
  const { authorization } = request.headers
  if (authorization === undefined) return
  const hash = createHash('sha256').update(body).digest('hex')
  const right = sigv4.verifySignature({
    method: request.method,
    target: request.url,
    header: (name) => request.headers[name],
    authorization: sigv4.parseAuthorization(authorization),
    secretKey: KEYS.secretKey,
  })
  if (right && hash === request.headers['x-amz-content-sha256']) stats.signed++
  else stats.problem ??= 'a signature or payload hash is wrong'
}

function answer(response, status, body, headers) {
  const text = JSON.stringify(body)
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    ...headers,
  })
  response.end(text)
}

const server = createServer((request, response) => {
  const path = request.url.split('?', 1)[0]
  if (path.endsWith('/_bulk')) return take(request, response, PRODUCT)
  if (request.method === 'POST' && path.endsWith('/json')) return take(request, response)
  request.resume()
  if (path === '/')
    return answer(
      response,
      200,
      {
        name: 'bench',
        version: { number: '9.4.3', build_flavor: 'default' },
        tagline: 'You Know, for Search',
      },
      PRODUCT,
    )
  answer(response, 200, { acknowledged: true }, PRODUCT)
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))

process.on('message', async (message) => {
  if (message.ask === 'reset') {
    check = message.check === true
    if (check) sigv4 ??= await import('../dist/http/sigv4.js')
    reset()
    process.send({ ready: true })
  } else if (message.ask === 'stats') {
    process.send({ ...stats, sum: stats.sum && String(stats.sum), cpu: process.cpuUsage() })
  }
})
process.on('disconnect', () => process.exit(0))
