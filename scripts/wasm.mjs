// Compiles the byte lane from AssemblyScript; given a path it is written there, else into dist/.
import { mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import asc from 'assemblyscript/asc'

const root = fileURLToPath(new URL('..', import.meta.url))
export const WASM_FILE = `${root}dist/codecs/wasm/lane.wasm`
export const WASM_SOURCES = `${root}src/codecs/wasm/assembly`

export async function compileWasm(file = WASM_FILE) {
  mkdirSync(dirname(file), { recursive: true })
  // Another process may read or write the file meanwhile: it appears whole or not at all.
  const draft = `${file}.${process.pid}`
  const { error, stderr } = await asc.main([
    `${WASM_SOURCES}/index.ts`,
    ...['--outFile', draft],
    ...['--enable', 'simd'],
    ...['--runtime', 'stub'],
    ...['--initialMemory', '1'],
    ...['-O3', '--converge', '--noAssert'],
  ])
  if (error !== null) {
    rmSync(draft, { force: true })
    throw new Error(`the byte lane does not compile:\n${stderr.toString()}`)
  }
  renameSync(draft, file)
}
