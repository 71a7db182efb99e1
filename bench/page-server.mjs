// Pages over HTTP, a process of its own: each answer comes after the same delay, however many are asked for at once.
// Arguments: pages, rows per page, delay in milliseconds.
import { createServer } from 'node:http'
import { rowsOf } from './lib/shapes.mjs'

const [pages, perPage, delayMs] = process.argv.slice(2).map(Number)
const rows = [...rowsOf('narrow', pages * perPage)]
// Made before the first request, so that an answer costs its delay and nothing else.
const bodies = Array.from({ length: pages }, (_, i) =>
  bodyOf(rows.slice(i * perPage, (i + 1) * perPage), i + 1 < pages ? i + 1 : null),
)
const BEYOND = bodyOf([], null)

function bodyOf(rows, next) {
  return Buffer.from(JSON.stringify({ rows, next }))
}

const server = createServer((request, response) => {
  request.resume()
  const body = bodies[Number(new URL(request.url, 'http://127.0.0.1').searchParams.get('page'))] ?? BEYOND
  setTimeout(() => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
    response.end(body)
  }, delayMs)
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
process.on('disconnect', () => process.exit(0))
