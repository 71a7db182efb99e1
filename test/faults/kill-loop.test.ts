/** A short cut of `kill-loop.mjs`, which does the same fifty times. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { cleanEnv } from '../cli/support.js'

test('a load that is killed again and again, and resumed, brings every row once', async () => {
  const script = fileURLToPath(new URL('./kill-loop.mjs', import.meta.url))
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [script, '--kills', '4', '--rows', '150000'],
    {
      env: cleanEnv(),
      timeout: 150_000,
    },
  )
  expect(stdout).toContain('every row exactly once')
}, 160_000)
