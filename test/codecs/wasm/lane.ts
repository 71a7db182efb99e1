/** Makes sure that the byte lane is there and up to date, and compares it with the decoders it stands for. */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { isParsed, size } from '../../../src/batch.js'
import type { Decoder, ResumePoint } from '../../../src/codecs/decoder.js'
import { byteLane } from '../../../src/codecs/wasm/engine.js'
import { type Collected, collect, pieces } from '../decoding.js'

/** Compiles the lane where its sources are newer. */
export async function builtLane(): Promise<void> {
  const build = (await import(new URL('../../../scripts/wasm.mjs', import.meta.url).href)) as {
    WASM_FILE: string
    WASM_SOURCES: string
    compileWasm: () => Promise<void>
  }
  const newest = Math.max(
    ...readdirSync(build.WASM_SOURCES).map((name) => statSync(join(build.WASM_SOURCES, name)).mtimeMs),
  )
  if (!existsSync(build.WASM_FILE) || statSync(build.WASM_FILE).mtimeMs < newest) await build.compileWasm()
  expect(byteLane()).toEqual({ available: true })
}

/** The decoder with a count of the rows that came as text. */
export function counting(decoder: Decoder): { decoder: Decoder; texts: () => number } {
  let texts = 0
  const watch = (decoded: ReturnType<Decoder['push']>) => {
    if (decoded !== undefined && !isParsed(decoded.batch)) {
      const { text } = decoded.batch
      texts += size(decoded.batch)
      for (let i = 0; i < size(decoded.batch); i++) {
        const line = text?.bytes.subarray(text.starts[i], text.ends[i])
        expect(line?.includes(10) || line?.includes(13), 'a line break inside a row').toBe(false)
      }
    }
    return decoded
  }
  return {
    decoder: { push: (bytes) => watch(decoder.push(bytes)), end: () => watch(decoder.end()) },
    texts: () => texts,
  }
}

/** What a decoder says, with all points it can be resumed from. */
export function say(
  decoder: Decoder,
  bytes: Uint8Array,
  cuts: number[] | undefined,
): { said: Collected; points: { resume: ResumePoint; rows: number; rejected: number }[] } {
  const points: { resume: ResumePoint; rows: number; rejected: number }[] = []
  const said = collect(decoder, pieces(bytes, cuts), (resume, rows, rejected) =>
    points.push({ resume, rows, rejected }),
  )
  return { said, points }
}
