import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { startLocalInfino } from '../../src/local/index.js'

const python = process.env.PYTHON ?? 'python3'
const found = spawnSync(python, ['-c', 'import infino_sdk']).status === 0
if (!found && process.env.REQUIRE_SERVICES !== '1')
  console.log(`skipped: the official Python SDK (pip install infino-sdk; ${python} does not have it)`)

test.skipIf(!found && process.env.REQUIRE_SERVICES !== '1')(
  'the official Python SDK runs against the local Infino unchanged',
  async () => {
    expect(found, `${python} has no infino_sdk: pip install infino-sdk`).toBe(true)
    const dir = mkdtempSync(join(tmpdir(), 'local-'))
    const infino = await startLocalInfino({ dir })
    try {
      const { stdout } = await promisify(execFile)(
        python,
        [fileURLToPath(new URL('./sdk_check.py', import.meta.url))],
        {
          timeout: 60_000,
          env: {
            ...process.env,
            INFINO_ENDPOINT: infino.url,
            INFINO_ACCESS_KEY: infino.accessKey,
            INFINO_SECRET_KEY: infino.secretKey,
          },
        },
      )
      expect(stdout.trim()).toBe('OK')
    } finally {
      await infino.close()
      rmSync(dir, { recursive: true, force: true })
    }
  },
  90_000,
)
