/** Reading request bodies without ever holding more than the limit. */
import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { UNSIGNED_PAYLOAD } from '../http/sigv4.js'
import { ApiError } from './reply.js'

/** Of a refused body, so much is read and thrown away, so that a client which sends first and reads later sees the answer. */
const DISCARD_BYTES = 256 * 1024 * 1024

export function declaredLength(request: IncomingMessage): number | undefined {
  const header = request.headers['content-length']
  return header === undefined ? undefined : Number(header)
}

export function tooLarge(limitBytes: number): ApiError {
  return new ApiError(
    413,
    'content_too_long',
    `the body is over the limit of ${limitBytes} bytes: send fewer rows in a request`,
  )
}

/** The whole body; checked against the hash that was signed. Throws 413 as soon as the limit is crossed. */
export function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const length = declaredLength(request)
  if (length !== undefined && length > limitBytes) return Promise.reject(tooLarge(limitBytes))
  const expected = request.headers['x-amz-content-sha256']
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const hash = expected === UNSIGNED_PAYLOAD ? undefined : createHash('sha256')
    let bytes = 0
    const stop = () => {
      request.off('data', take)
      request.off('end', end)
      request.off('close', gone)
      request.off('error', gone)
    }
    const take = (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > limitBytes) {
        stop()
        chunks.length = 0
        reject(tooLarge(limitBytes))
        return
      }
      hash?.update(chunk)
      chunks.push(chunk)
    }
    const end = () => {
      stop()
      if (hash !== undefined && hash.digest('hex') !== expected)
        reject(
          new ApiError(401, 'unauthorized', 'Invalid signature: the body is not the one that was signed'),
        )
      else resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, bytes))
    }
    const gone = () => {
      stop()
      reject(new ApiError(400, 'incomplete_body', 'the connection closed before the body ended'))
    }
    request.on('data', take)
    request.on('end', end)
    request.on('close', gone)
    request.on('error', gone)
  })
}

/** Reads on and forgets what it reads, up to a bound; called once the answer is known. */
export function discard(request: IncomingMessage, response: ServerResponse): void {
  if (request.complete || request.destroyed) return
  let bytes = 0
  response.setHeader('connection', 'close')
  request.on('error', () => {})
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > DISCARD_BYTES) request.destroy()
  })
  request.resume()
}
