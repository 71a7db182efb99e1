/** Reading and decoding the body of an answer within bounds. */
import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate } from 'node:zlib'
import { EtlError, messageOf } from '../errors.js'

const decoders = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
} as const

/** All bytes of a body; `ETL_HTTP_TOO_LARGE` beyond `maxBytes`, with the rest left unread. */
export async function readBody(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of body) {
    bytes += piece.length
    if (bytes > maxBytes) throw tooLarge(maxBytes)
    pieces.push(piece)
  }
  return pieces.length === 1
    ? Buffer.from(pieces[0]!.buffer, pieces[0]!.byteOffset, bytes)
    : Buffer.concat(pieces, bytes)
}

/** The body without its one layer of compression, at most `maxBytes` long. */
export async function decodeBody(
  body: Buffer,
  encoding: string | string[] | undefined,
  maxBytes: number,
): Promise<Buffer> {
  if (encoding === undefined || encoding === 'identity' || body.length === 0) return body
  const name = String(encoding).trim().toLowerCase()
  if (!Object.hasOwn(decoders, name))
    throw new EtlError(
      'ETL_HTTP_ENCODING',
      `expected content encoding gzip, deflate or br, got ${JSON.stringify(name.slice(0, 60))}`,
    )
  try {
    return await decoders[name as keyof typeof decoders](body, { maxOutputLength: maxBytes })
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(maxBytes)
    throw new EtlError('ETL_HTTP_ENCODING', `the ${name} body does not decompress: ${messageOf(error)}`, {
      verdict: 'again',
      cause: error,
    })
  }
}

function tooLarge(maxBytes: number): EtlError {
  return new EtlError(
    'ETL_HTTP_TOO_LARGE',
    `the answer is longer than ${maxBytes} bytes (option responseBytes)`,
  )
}
