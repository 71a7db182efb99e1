/** Credentials, each bound to the one origin it was given for. */
import type { Secret } from './redact.js'
import { EMPTY_HASH, payloadHash, signRequest, UNSIGNED_PAYLOAD } from './sigv4.js'

/** What credentials may look at. Made anew for every attempt. */
export interface AuthRequest {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  /** The body's bytes; absent for a body that is streamed, or none. */
  readonly payload: Uint8Array | undefined
  /** The body is streamed, so that its hash is not known. */
  readonly streamed: boolean
  readonly timeMs: number
}

/** Adds headers to requests of one origin; requests to any other origin never see it. */
export interface Auth {
  readonly origin: string
  /** Masked in every message. */
  readonly secrets: readonly Secret[]
  readonly headers: (request: AuthRequest) => Readonly<Record<string, string>>
}

/** Signs requests with AWS Signature Version 4; a streamed body stays unsigned, and so does its content type. */
export function sigv4Auth(origin: string, accessKey: Secret, secretKey: Secret): Auth {
  return {
    origin,
    secrets: [accessKey, secretKey],
    headers: ({ method, url, headers, payload, streamed, timeMs }) =>
      signRequest({
        method,
        url,
        headers: streamed ? {} : headers,
        payloadHash: streamed ? UNSIGNED_PAYLOAD : payload === undefined ? EMPTY_HASH : payloadHash(payload),
        accessKey: accessKey.reveal(),
        secretKey: secretKey.reveal(),
        timeMs,
      }),
  }
}
