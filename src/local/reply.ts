/** Errors and answers of the local Infino in the shapes of Infino's API. */
import type { ServerResponse } from 'node:http'

/** An answer other than success: becomes `{"error":{"type","reason"},"status"}`. */
export class ApiError extends Error {
  readonly status: number
  readonly type: string

  constructor(status: number, type: string, reason: string) {
    super(reason)
    this.status = status
    this.type = type
  }
}

export function unknownDataset(name: string): ApiError {
  return new ApiError(
    404,
    'index_not_found_exception',
    `no such dataset ${JSON.stringify(name)}: create it first with PUT /${name}`,
  )
}

export function malformed(reason: string): ApiError {
  return new ApiError(400, 'parsing_exception', reason)
}

export function errorBody(status: number, type: string, reason: string): string {
  return JSON.stringify({ error: { type, reason }, status })
}

/** Sends JSON that is ready as text. */
export function send(response: ServerResponse, status: number, body: string): void {
  if (response.headersSent || response.destroyed) return
  const bytes = Buffer.from(body)
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length })
  response.end(bytes)
}

/** Sends text piece by piece at the pace of the reader; stops early where the reader is gone. */
export async function sendPieces(response: ServerResponse, pieces: AsyncIterable<string>): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/json' })
  for await (const piece of pieces) {
    if (response.destroyed) return
    if (!response.write(piece)) await drained(response)
  }
  response.end()
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.on('drain', done)
    response.on('close', done)
    if (response.destroyed) done()
  })
}
