/**
 * What README and docs show is true: every TypeScript block compiles and runs, every shell line that calls the
 * program runs, and every example runs. All in a folder with a few files, against a local Infino.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { cleanEnv, folder, MAIN, type Serving, serve } from './cli/support.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const execute = promisify(execFile)
/** Inside the package, so that its own name resolves. */
const BLOCKS = join(ROOT, 'tmp', `docs-${process.pid}`)

interface Block {
  readonly where: string
  readonly language: string
  readonly text: string
}

const pages = ['README.md', ...markdownIn('docs')]
const blocks = pages.flatMap(blocksOf)
const code = blocks.filter(({ language }) => ['ts', 'js', 'typescript', 'javascript'].includes(language))
const commands = blocks
  .filter(({ language }) => ['sh', 'bash', 'shell'].includes(language))
  .flatMap(({ where, text }) =>
    text.split('\n').map((line) => ({ where, line: line.replace(/^\$ /, '').trim() })),
  )
  .filter(({ line }) => /^(?:npx )?infino-etl (?!serve)/.test(line))

const work = folder()
let infino: Serving
let env: Record<string, string>
/** By file: what the compiler says. */
let complaints = ''

beforeAll(async () => {
  infino = await serve(join(work.dir, 'server'))
  // Only this program in the path, under its name.
  writeFileSync(join(work.dir, 'infino-etl'), `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`, {
    mode: 0o755,
  })
  env = cleanEnv({ ...infino.env, PATH: `${work.dir}:${process.env.PATH}` })
  const orders =
    'order_id,status,qty,price,zip\no1,open,2,12.50,01234\no2,done,0,3.00,10115\no3,open,1,7.25,20095\n'
  const files = {
    'orders.csv': orders,
    'orders-1.csv': orders,
    'orders-2.csv': orders.replaceAll('\no', '\np'),
    'orders-1.csv.gz': gzipSync(orders),
    'exports/orders.csv': orders,
    'orders.jsonl': '{"order_id":"o1","qty":2}\n{"order_id":"o2","qty":0}\n',
    'events.jsonl': '{"event":"login","n":1}\n{"event":"logout","n":2}\n',
    'events.ndjson.gz': gzipSync('{"event":"login","n":1}\n'),
    'more.ndjson': '{"event":"logout","n":2}\n',
    'total.mjs': 'export default (order) => ({ ...order, total: order.qty * order.price })\n',
    'graph.json': '{"data":{"nodes":[{"id":1},{"id":2}]}}',
  }
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(work.dir, name)), { recursive: true })
    writeFileSync(join(work.dir, name), content)
  }
  await execute('infino-etl', ['load', 'orders.csv', '--to', 'orders', '--id', 'order_id'], {
    cwd: work.dir,
    env,
  })
  mkdirSync(BLOCKS, { recursive: true })
  const names = exportedNames()
  for (const [index, { text }] of code.entries())
    writeFileSync(join(BLOCKS, `${index}.ts`), completed(text, names))
  writeFileSync(
    join(BLOCKS, 'tsconfig.json'),
    JSON.stringify({
      extends: '../../tsconfig.json',
      compilerOptions: {
        rootDir: '.',
        outDir: 'out',
        declaration: false,
        declarationMap: false,
        sourceMap: false,
      },
      include: ['*.ts'],
    }),
  )
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
  await execute(process.execPath, [tsc, '-p', BLOCKS]).catch((error: { stdout: string }) => {
    complaints = error.stdout
  })
}, 60_000)

afterAll(async () => {
  await infino.stop()
  rmSync(BLOCKS, { recursive: true, force: true })
  work.remove()
})

test('there are blocks and commands to run', () => {
  expect(code.length).toBeGreaterThan(5)
  expect(commands.length).toBeGreaterThan(5)
})

for (const [index, { where }] of code.entries()) {
  test(`the code at ${where} compiles and runs`, async () => {
    expect(complaints.split('\n').filter((line) => line.includes(`/${index}.ts`))).toEqual([])
    await execute(process.execPath, [join(BLOCKS, 'out', `${index}.js`)], {
      cwd: work.dir,
      env,
      timeout: 30_000,
    })
  })
}

for (const { where, line } of commands) {
  test(`the command at ${where} runs: ${line}`, async () => {
    await execute('sh', ['-c', line.replace(/^npx /, '')], { cwd: work.dir, env, timeout: 30_000 })
  })
}

for (const name of readdirSync(join(ROOT, 'examples'))) {
  test(`examples/${name} runs`, async () => {
    const { stdout } = await execute(process.execPath, [join(ROOT, 'examples', name)], {
      cwd: work.dir,
      env: cleanEnv(),
      timeout: 60_000,
    })
    expect(stdout).not.toBe('')
  }, 60_000)
}

test('every link between pages leads to a file', () => {
  const broken: string[] = []
  for (const page of [...pages, 'ARCHITECTURE.md', 'CHANGELOG.md']) {
    for (const [, target] of readFileSync(join(ROOT, page), 'utf8').matchAll(/\]\(([^)#]+)[^)]*\)/g)) {
      if (/^[a-z]+:/.test(target!)) continue
      try {
        readFileSync(join(ROOT, dirname(page), target!))
      } catch {
        broken.push(`${page}: ${target}`)
      }
    }
  }
  expect(broken).toEqual([])
})

function markdownIn(directory: string): string[] {
  return readdirSync(join(ROOT, directory), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(directory, name))
    .sort()
}

function blocksOf(page: string): Block[] {
  const found: Block[] = []
  const lines = readFileSync(join(ROOT, page), 'utf8').split('\n')
  let start = -1
  for (const [index, line] of lines.entries()) {
    if (!line.startsWith('```')) continue
    if (start < 0) start = index
    else {
      const language = lines[start]!.slice(3).trim()
      const text = lines.slice(start + 1, index).join('\n')
      found.push({ where: `${relative('.', page)}:${start + 1}`, language, text })
      start = -1
    }
  }
  return found
}

/** A block without imports is a glimpse of a file that has them. */
function completed(text: string, names: readonly string[]): string {
  if (/^import /m.test(text)) return `${text}\nexport {}\n`
  const used = names.filter((name) => new RegExp(`\\b${name}\\b`).test(text))
  return `${used.length > 0 ? `import { ${used.join(', ')} } from 'infino-etl'\n` : ''}${text}\nexport {}\n`
}

function exportedNames(): string[] {
  const text = readFileSync(join(ROOT, 'src/index.ts'), 'utf8').replace(/\/\/.*$/gm, '')
  return [...text.matchAll(/export \{([^}]*)\}/g)].flatMap((match) =>
    match[1]!
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '' && !name.startsWith('type ')),
  )
}
