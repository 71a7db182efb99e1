/** The documents of an uploaded file as JSON text, in pieces, in order, in bounded memory. */

import { isUtf8 } from 'node:buffer'
import { createReadStream } from 'node:fs'
import { csvDocuments } from './decode-csv.js'
import { linesOf } from './lines.js'
import { emptyPiece, type Piece } from './piece.js'
import { ApiError } from './reply.js'

/** One document may not be larger. */
const MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
const READ_BYTES = 256 * 1024

export type FileFormat = 'json' | 'jsonl' | 'csv'

export function formatOf(given: string, fileName: string): FileFormat {
  const format = given === 'auto' || given === '' ? /\.([a-z]+)$/i.exec(fileName)?.[1]?.toLowerCase() : given
  if (format === 'ndjson') return 'jsonl'
  if (format === 'json' || format === 'jsonl' || format === 'csv') return format
  throw new ApiError(
    400,
    'illegal_argument_exception',
    `format: expected json, jsonl, csv, or auto with a file name that ends so; got ${JSON.stringify(given)} for ${JSON.stringify(fileName)}`,
  )
}

/** Throws where the file as a whole is broken: the position after which nothing can be told apart. */
export function decodeFile(path: string, format: FileFormat): AsyncGenerator<Piece> {
  if (format === 'csv') return csvDocuments(path)
  const chunks = createReadStream(path, { highWaterMark: READ_BYTES }) as AsyncIterable<Buffer>
  return format === 'jsonl' ? lineDocuments(chunks) : jsonDocuments(chunks)
}

async function* lineDocuments(chunks: AsyncIterable<Buffer>): AsyncGenerator<Piece> {
  let held: Buffer[] = []
  let heldBytes = 0
  let before = 0
  for await (const chunk of chunks) {
    const cut = chunk.lastIndexOf(0x0a) + 1
    if (cut === 0) {
      held.push(chunk)
      heldBytes += chunk.length
      if (heldBytes > MAX_DOCUMENT_BYTES) throw tooLong(`line ${before + 1}`)
      continue
    }
    const block = Buffer.concat([...held, chunk.subarray(0, cut)])
    held = [chunk.subarray(cut)]
    heldBytes = chunk.length - cut
    const { piece, lines } = pieceOf(block, before)
    before = lines
    yield piece
  }
  yield pieceOf(Buffer.concat(held), before).piece
}

function pieceOf(block: Buffer, before: number): { piece: Piece; lines: number } {
  const piece = emptyPiece()
  const lines = linesOf(block, before)
  for (let line = lines.next(); line !== undefined; line = lines.next()) {
    if (lines.broken()) piece.refused.push({ place: lines.number(), reason: 'the document is not UTF-8' })
    else {
      piece.texts.push(line)
      piece.places.push(lines.number())
    }
  }
  return { piece, lines: lines.number() }
}

/** The elements of the array at the top, or objects one after another. Each is parsed later; here only borders matter. */
async function* jsonDocuments(chunks: AsyncIterable<Buffer>): AsyncGenerator<Piece> {
  let top: 'unknown' | 'array' | 'objects' | 'closed' = 'unknown'
  /** What may come between two elements. */
  let expects = 'element' as 'element' | 'comma'
  let data: Buffer = Buffer.alloc(0)
  let at = 0
  let start = -1
  let depth = 0
  let inString = false
  let skip = 0
  let passed = 0
  let count = 0
  const broken = (what: string) =>
    new Error(`byte ${passed + at}: ${what}; the file should hold an array of objects`)

  for await (const chunk of chunks) {
    const from = start < 0 ? at : start
    passed += from
    data = Buffer.concat([data.subarray(from), chunk])
    at -= from
    if (start >= 0) start = 0
    if (data.length > MAX_DOCUMENT_BYTES + READ_BYTES) throw tooLong(`element ${count + 1}`)
    const piece = emptyPiece()
    if (passed === 0 && at === 0 && data[0] === 0xef && data[1] === 0xbb && data[2] === 0xbf) at = 3
    const give = (end: number) => {
      count += 1
      const bytes = data.subarray(start, end)
      if (isUtf8(bytes)) {
        piece.texts.push(bytes.toString('utf8'))
        piece.places.push(count)
      } else piece.refused.push({ place: count, reason: 'the document is not UTF-8' })
      start = -1
      expects = top === 'array' ? 'comma' : 'element'
    }
    for (; at < data.length; at += 1) {
      const code = data[at]!
      if (skip > 0) {
        skip -= 1
        continue
      }
      if (inString) {
        if (code === 0x5c) skip = 1
        else if (code === 0x22) {
          inString = false
          if (depth === 0) give(at + 1)
        }
        continue
      }
      const space = code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09
      if (start < 0) {
        if (space) continue
        if (top === 'unknown') {
          if (code !== 0x5b && code !== 0x7b) throw broken('expected [ or {')
          top = code === 0x5b ? 'array' : 'objects'
          if (top === 'array') continue
        }
        if (top === 'closed') throw broken('more text after the end of the array')
        if (code === 0x5d && top === 'array') {
          if (expects === 'element' && count > 0) throw broken('a comma with no element after it')
          top = 'closed'
          continue
        }
        if (code === 0x2c) {
          if (expects !== 'comma') throw broken('a comma with no element before it')
          expects = 'element'
          continue
        }
        if (expects === 'comma') throw broken('expected a comma or ]')
        start = at
        depth = 0
      }
      if (code === 0x22) inString = true
      else if (code === 0x7b || code === 0x5b) depth += 1
      else if (depth > 0) {
        if (code === 0x7d || code === 0x5d) {
          depth -= 1
          if (depth === 0) give(at + 1)
        }
      } else if (space || code === 0x2c || code === 0x5d || code === 0x7d) {
        // The end of a bare word or number; what ends it is looked at again.
        if (start === at) throw broken('expected an element')
        give(at)
        at -= 1
      }
    }
    yield piece
  }
  if (start >= 0 || top === 'array') throw broken('the file ends in the middle')
  if (top === 'unknown') throw broken('the file is empty')
}

function tooLong(where: string): Error {
  return new Error(`${where}: a document is over the limit of ${MAX_DOCUMENT_BYTES} bytes`)
}
