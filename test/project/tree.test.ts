import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import * as offered from '../../src/index.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const script = join(root, 'scripts/imports.mjs')
const folder = mkdtempSync(join(tmpdir(), 'tree-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const camel = (name: string) => name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
const adapters = (kind: string) =>
  readdirSync(join(root, 'src', kind))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => camel(name.replace(/\.ts$/, '')))

describe('src/index.ts', () => {
  it.each([
    ['sources', 'Source'],
    ['transforms', ''],
    ['sinks', 'Sink'],
  ])('offers every file of %s, and no other', (kind, ending) => {
    const names = adapters(kind).map((name) => `${name}${ending}`)
    for (const name of names) expect(offered).toHaveProperty(name, expect.any(Function))
    if (ending !== '') {
      const exported = Object.keys(offered).filter((name) => name.endsWith(ending))
      expect(exported.sort()).toEqual(names.sort())
    }
  })
})

describe('the import rule', () => {
  const check = (files: Record<string, string>) => {
    const src = mkdtempSync(join(folder, 'src-'))
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(src, name)), { recursive: true })
      writeFileSync(join(src, name), text)
    }
    return spawnSync(process.execPath, [script, src], { encoding: 'utf8' })
  }

  it('is kept', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' })
    expect(stderr).toBe('')
    expect(status).toBe(0)
    expect(stdout).toMatch(/\d{2,} files, \d{3,} imports/)
  })

  it('lets imports go down, types round in a circle, and adapters share a folder', () => {
    const { status, stdout } = check({
      'contracts.ts': '',
      'errors.ts': "import type { A } from './contracts.js'\n",
      'sources/a.ts':
        "import { x } from '../errors.js'\nimport { y } from './files/y.js'\n// import '../pipeline.js'\n",
      'sources/files/y.ts': "import { z } from './z.js'\n",
      'sources/files/z.ts': "import type { y } from './y.js'\n",
      'pipeline.ts': "import { a } from './sources/a.js'\nimport {\n  run,\n} from './run.js'\n",
      'run.ts': "import type { P } from './pipeline.js'\n",
    })
    expect(status).toBe(0)
    expect(stdout).toContain('7 files, 8 imports')
  })

  it.each<[string, Record<string, string>, string]>([
    [
      'an adapter that knows the pipeline',
      { 'pipeline.ts': '', 'sinks/a.ts': "import {\n  from,\n} from '../pipeline.js'\n" },
      'sinks/a.ts:1 imports ../pipeline.js: engine lies above sinks',
    ],
    [
      'an adapter that knows another',
      { 'sinks/a.ts': "\nimport './b.js'\n", 'sinks/b.ts': '' },
      'sinks/a.ts:2 imports ./b.js: adapters never',
    ],
    [
      'what adapters share and an adapter',
      { 'sinks/files/a.ts': "import '../b.js'", 'sinks/b.ts': '' },
      'adapters never',
    ],
    [
      'a source that knows a sink',
      { 'sources/a.ts': "export { b } from '../sinks/b.js'", 'sinks/b.ts': '' },
      'do not know each other',
    ],
    [
      'a type of a layer above',
      { 'codecs/a.ts': "import type { B } from '../http/b.js'", 'http/b.ts': '' },
      'http lies above codecs',
    ],
    [
      'an import at run time',
      { 'http/a.ts': "const b = await import('../cli/b.js')", 'cli/b.ts': '' },
      'cli lies above http',
    ],
    [
      'a codec with I/O',
      { 'codecs/a.ts': "import { open } from 'node:fs/promises'" },
      'codecs does without it',
    ],
    [
      'contracts with an import',
      { 'contracts.ts': "import type { E } from './errors.js'", 'errors.ts': '' },
      'contracts.ts imports nothing',
    ],
    ['a folder in no layer', { 'new/a.ts': "import '../errors.js'", 'errors.ts': '' }, 'new is in no layer'],
    ['a file that is not there', { 'errors.ts': "import './gone.js'" }, 'there is no gone.ts'],
    [
      'a circle',
      {
        'run.ts': "import './lane.js'",
        'lane.ts': "import './frame.js'",
        'frame.ts': "import { r } from './run.js'",
      },
      'a circle: frame.ts -> run.ts -> lane.ts -> frame.ts',
    ],
  ])('forbids %s', (_what, files, message) => {
    const { status, stderr } = check(files)
    expect(stderr).toContain(message)
    expect(status).toBe(1)
  })
})
