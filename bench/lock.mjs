// Makes bench/package-lock.json anew, without the address of any registry: `npm ci` then asks the configured one.
import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))
const file = `${here}package-lock.json`
rmSync(file, { force: true })
execFileSync(
  'npm',
  ['install', '--package-lock-only', '--no-audit', '--no-fund', '--omit-lockfile-registry-resolved=false'],
  {
    cwd: here,
    stdio: 'inherit',
  },
)
const lock = JSON.parse(readFileSync(file, 'utf8'))
for (const entry of Object.values(lock.packages)) delete entry.resolved
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
