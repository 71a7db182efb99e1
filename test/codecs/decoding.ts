/** Drives decoders in tests. */
import { originAt, rowAt, size } from '../../src/batch.js'
import type { Decoder, ResumePoint } from '../../src/codecs/decoder.js'
import type { Position, RejectedRow, Row } from '../../src/contracts.js'

export interface Collected {
  readonly rows: Row[]
  readonly positions: (Position | undefined)[]
  readonly rejected: RejectedRow[]
  readonly error: { code: string; row: unknown; line: unknown; byte: unknown } | undefined
}

/** Everything a decoder says about an input given in pieces. */
export function collect(
  decoder: Decoder,
  input: Iterable<Uint8Array>,
  onResume?: (point: ResumePoint, rows: number, rejected: number) => void,
): Collected {
  const out: Collected = { rows: [], positions: [], rejected: [], error: undefined }
  let error: Collected['error']
  const take = (decoded: ReturnType<Decoder['push']>) => {
    if (decoded === undefined) return
    for (let i = 0; i < size(decoded.batch); i++) {
      out.rows.push(rowAt(decoded.batch, i))
      out.positions.push(originAt(decoded.batch, i))
    }
    out.rejected.push(...decoded.rejected)
    if (decoded.error !== undefined) {
      const { code, context } = decoded.error
      error = { code, row: context.row, line: context.line, byte: context.byte }
    }
    onResume?.(decoded.resume, out.rows.length, out.rejected.length)
  }
  for (const piece of input) take(decoder.push(piece))
  take(decoder.end())
  return { ...out, error }
}

/** Cuts at every offset, and byte by byte (`undefined`). */
export function* splitsOf(length: number): Generator<number[] | undefined> {
  yield undefined
  for (let at = 1; at < length; at++) yield [at]
}

/** Copies of the parts between the cuts, so that nothing leans on a shared buffer. */
export function* pieces(bytes: Uint8Array, cuts: number[] | undefined): Generator<Uint8Array> {
  const at = cuts ?? Array.from({ length: Math.max(0, bytes.length - 1) }, (_, i) => i + 1)
  let from = 0
  for (const to of [...at, bytes.length]) {
    yield Uint8Array.from(bytes.subarray(from, to))
    from = to
  }
}

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
