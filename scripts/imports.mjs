// Holds src/ to the import rule: imports run downward only, adapters know neither each other nor the engine,
// codecs do no I/O, and nothing goes round in a circle. Prints what it checked; exits 1 with the offending import.
//
//     node scripts/imports.mjs [folder]
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = resolve(process.argv[2] ?? fileURLToPath(new URL('../src', import.meta.url)))

/** From the bottom up: a file imports from its own group and from those above it in this list. */
const LAYERS = [
  ['contracts'],
  ['errors'],
  ['json', 'internal'],
  ['batch', 'schema'],
  ['retry', 'pager'],
  ['codecs'],
  ['http'],
  ['infino', 'local'],
  ['sources', 'transforms', 'sinks'],
  ['engine'],
  ['interop'],
  ['connectors', 'cluster'],
  ['index', 'testing'],
  ['cli'],
]
const ADAPTERS = ['sources', 'transforms', 'sinks']
/** Read a part of the package itself, at start-up. */
const LOADERS = new Set(['codecs/wasm/engine.ts'])

/** Modules that a group does without. */
const FORBIDDEN = {
  codecs: /^(node:)?(fs|fs\/promises|net|tls|http|https|http2|child_process|worker_threads)$|^undici$/,
  contracts: /./,
}
const LAYER_OF = new Map(LAYERS.flatMap((groups, layer) => groups.map((group) => [group, layer])))

const files = readdirSync(root, { recursive: true })
  .map((name) => name.split(sep).join('/'))
  // AssemblyScript is a language of its own.
  .filter((name) => name.endsWith('.ts') && !name.includes('assembly'))
  .sort()
const known = new Set(files)
const problems = []
const graph = new Map()
let count = 0

for (const file of files) {
  const targets = []
  for (const { specifier, typeOnly, line } of importsOf(readFileSync(join(root, file), 'utf8'))) {
    count++
    const tell = (why) => problems.push(`${file}:${line} imports ${specifier}: ${why}`)
    const group = groupOf(file)
    if (!specifier.startsWith('.')) {
      if (FORBIDDEN[group]?.test(specifier) && !LOADERS.has(file)) tell(`${group} does without it`)
      continue
    }
    const target = normalize(join(dirname(file), specifier))
      .split(sep)
      .join('/')
      .replace(/\.js$/, '.ts')
    if (!known.has(target)) {
      tell(`there is no ${target}`)
      continue
    }
    const why = objection(file, target)
    if (why !== undefined) tell(why)
    if (!typeOnly) targets.push(target)
  }
  graph.set(file, targets)
}
for (const circle of circles(graph)) problems.push(`a circle: ${circle.join(' -> ')}`)

if (problems.length > 0) {
  console.error(problems.join('\n'))
  process.exitCode = 1
} else {
  const name = relative(process.cwd(), root) || '.'
  console.log(`${name}: ${files.length} files, ${count} imports in ${LAYERS.length} layers, no circle`)
}

/** Why a file must not import another; undefined where it may. */
function objection(file, target) {
  const [group, other] = [groupOf(file), groupOf(target)]
  if (group === 'contracts') return 'contracts.ts imports nothing'
  if (group !== other) {
    const [own, its] = [LAYER_OF.get(group), LAYER_OF.get(other)]
    if (own === undefined) return `${group} is in no layer: name it in scripts/imports.mjs`
    if (its === undefined) return `${other} is in no layer: name it in scripts/imports.mjs`
    if (its > own) return `${other} lies above ${group}`
    if (its === own) return `${group} and ${other} do not know each other`
    return undefined
  }
  if (ADAPTERS.includes(group) && isAdapter(target)) return 'adapters never import each other'
  return undefined
}

/** A folder of src, or the name of a file; the files of the engine lie side by side and are one group. */
function groupOf(file) {
  const [first, ...rest] = file.split('/')
  const name = rest.length > 0 ? first : first.replace(/\.ts$/, '')
  return rest.length > 0 || LAYER_OF.has(name) ? name : 'engine'
}

/** A file of an adapter folder itself; folders in it hold what its adapters share. */
function isAdapter(file) {
  return file.split('/').length === 2
}

/** Static and dynamic imports, and re-exports. Comments are left out. */
function* importsOf(text) {
  const code = text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, (comment) => comment.replace(/[^\n]/g, ' '))
  const pattern =
    /^\s*(?:import|export)\s+(type\s)?(?:[^'"`;]*?\sfrom\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm
  for (const match of code.matchAll(pattern)) {
    const line = code.slice(0, match.index).split('\n').length + (/^\n*/.exec(match[0])?.[0].length ?? 0)
    yield { specifier: match[2] ?? match[3], typeOnly: match[1] !== undefined, line }
  }
}

/** Circles of imports that exist at run time, each found once. */
function circles(graph) {
  const found = []
  const state = new Map()
  const path = []
  const visit = (file) => {
    state.set(file, 'open')
    path.push(file)
    for (const target of graph.get(file) ?? []) {
      if (state.get(target) === 'open') found.push([...path.slice(path.indexOf(target)), target])
      else if (!state.has(target)) visit(target)
    }
    path.pop()
    state.set(file, 'done')
  }
  for (const file of graph.keys()) if (!state.has(file)) visit(file)
  return found
}
