// Compiles src/ into dist/ from scratch, so that a deleted source leaves no stale output in the package.
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { compileWasm } from './wasm.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
rmSync(`${root}dist`, { recursive: true, force: true })
execFileSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, '-p', `${root}tsconfig.json`], {
  stdio: 'inherit',
})
await compileWasm()
const bin = `${root}dist/cli/main.js`
if (existsSync(bin)) chmodSync(bin, 0o755)
