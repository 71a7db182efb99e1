// npm run bench [-- <name>... --quick --rounds <n> --data <folder> --out <folder> --profile <folder> --list]
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const here = fileURLToPath(new URL('.', import.meta.url))
const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    data: { type: 'string' },
    out: { type: 'string' },
    profile: { type: 'string' },
    only: { type: 'string', multiple: true },
    list: { type: 'boolean', default: false },
  },
})

if (!existsSync(join(here, 'node_modules'))) {
  execFileSync('npm', ['ci', '--prefix', here, '--no-audit', '--no-fund'], { stdio: 'inherit' })
}
const { CASES } = await import('./cases/index.mjs')
const { dataFile } = await import('./lib/data.mjs')
const { html } = await import('./lib/html.mjs')
const { markdown } = await import('./lib/markdown.mjs')
const { measure } = await import('./lib/measure.mjs')
const { capacityOf, startReceiver } = await import('./lib/receiver.mjs')
const { summary } = await import('./lib/stats.mjs')
const { judge } = await import('./lib/targets.mjs')
const { against, megabytes, percent, ranked, rate, time, times } = await import('./lib/text.mjs')

const chosen = CASES.filter(({ name }) => names.length === 0 || names.some((part) => name.includes(part)))
if (options.list || chosen.length === 0) {
  for (const { name, title } of CASES) console.log(`${name.padEnd(26)} ${title}`)
  if (!options.list) console.error(`no case is called ${names.join(', ')}`)
  process.exit(options.list ? 0 : 2)
}

// Only a complete run replaces the results that are kept; others go where Git does not look.
const complete = names.length === 0 && !options.quick && !options.only && options.rounds === undefined
const outFolder = resolve(options.out ?? (complete ? here : join(here, 'last')))
const rounds = Number(options.rounds ?? (options.quick ? 3 : 5))
const folder =
  options.data === undefined ? mkdtempSync(join(os.tmpdir(), 'infino-etl-bench-')) : resolve(options.data)
mkdirSync(folder, { recursive: true })
const cleanUp = () => {
  if (options.data === undefined) rmSync(folder, { recursive: true, force: true })
}
process.on('exit', cleanUp)
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))

const facts = {
  command: `npm run bench${process.argv.length > 2 ? ` -- ${process.argv.slice(2).join(' ')}` : ''}`,
  date: new Date().toISOString(),
  quick: options.quick,
  rounds,
  machine: {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.cpus().length,
    memoryBytes: os.totalmem(),
    system: `${os.type()} ${os.release().split('-')[0]} ${os.arch()}`,
    load: os.loadavg()[0],
  },
  versions: versions(),
}
const receiver = await startReceiver()
if (chosen.some(({ wholeProcess }) => wholeProcess)) {
  facts.capacity = await capacityOf(receiver, 210, options.quick ? 2 : 5)
  const { rowsPerSecond, bytesPerSecond } = facts.capacity
  console.log(
    `The receiver takes ${rate(rowsPerSecond)} rows/s (${megabytes(bytesPerSecond)}/s) when nothing is made on the other side.`,
  )
}

const results = []
let wrong = 0
for (const one of chosen) {
  const result = await runCase(one)
  results.push(result)
  print(result)
  save()
}
receiver.stop()
const targets = judge(results)
if (targets.length > 0) console.log('\nTargets')
for (const { title, asked, got, reached } of targets)
  console.log(
    `  ${reached ? 'reached    ' : 'NOT reached'}  ${got.padStart(8)} of ${asked.padStart(6)}  ${title}`,
  )
console.log(
  `\nWritten: ${['results.json', 'RESULTS.md', 'report.html'].map((name) => join(outFolder, name)).join(', ')}`,
)
if (wrong > 0) console.error(`${wrong} contender(s) failed or delivered other rows than were generated.`)
process.exitCode = wrong > 0 ? 1 : 0

async function runCase(one) {
  const list = Object.keys(one.contenders).filter(
    (name) => options.only === undefined || options.only.includes(name),
  )
  console.log(`\n${one.title} (${one.name})`)
  const inputs = new Map(list.map((name) => [name, inputOf(one, one.contenders[name])]))
  const { rows, bytes, sums } = inputs.get(list[0])
  const result = {
    name: one.name,
    title: one.title,
    group: one.group,
    rows,
    bytes,
    wholeProcess: one.wholeProcess === true,
    ours: one.ours,
    contenders: {},
  }
  let agreed = sums?.[one.sum]
  const runs = new Map(list.map((name) => [name, []]))
  for (const name of list) {
    const { ours = false, settings } = one.contenders[name]
    const contender = { ours, settings }
    result.contenders[name] = contender
    const run = await runOnce(one, name, inputs.get(name), true)
    // Without a file the first contender says what the others must reach.
    agreed ??= run.sum
    const problem =
      run.error ??
      run.problem ??
      (run.sum === agreed
        ? undefined
        : `delivered other rows: ${run.delivered} with checksum ${run.sum}, expected ${rows} with ${agreed}`)
    if (problem === undefined) contender.checked = 'yes'
    else {
      wrong++
      contender.error = problem
      contender.checked = 'no'
      console.error(`  ${name}: ${problem}`)
    }
    if (run.error !== undefined) runs.delete(name)
    result.sum = agreed
  }
  for (let round = 0; round < (one.rounds ?? rounds); round++) {
    for (const [name, done] of runs) {
      if (one.contenders[name].slow && round >= 3) continue
      const run = await runOnce(one, name, inputs.get(name), false)
      if (run.error === undefined) done.push(run)
      else {
        wrong++
        result.contenders[name].error = run.error
        console.error(`  ${name}: ${run.error}`)
      }
    }
  }
  for (const [name, done] of runs) {
    if (done.length === 0) continue
    result.contenders[name].runs = done
    result.contenders[name].summary = summary(done, rows)
  }
  return result
}

function inputOf(one, { format }) {
  if (one.made !== undefined) return { rows: options.quick ? one.made.quick : one.made.rows }
  const { shape, rows, repeat = 1, quick, quickRepeat = 1 } = one.data
  const size = options.quick ? { rows: quick, repeat: quickRepeat } : { rows, repeat }
  return dataFile(join(folder, 'data'), { shape, format: format ?? one.data.format, ...size })
}

async function runOnce(one, contender, { file, rows }, check) {
  const given = { file, rows, check, url: receiver.url }
  if (one.wholeProcess) await receiver.reset(check)
  const flags =
    options.profile !== undefined && !check
      ? [
          '--cpu-prof',
          `--cpu-prof-dir=${resolve(options.profile)}`,
          `--cpu-prof-name=${one.name}-${contender.replace(/\W+/g, '-')}.cpuprofile`,
        ]
      : []
  const run = await measure({ one, contender, given, folder, flags })
  if (!one.wholeProcess || run.error !== undefined) return run
  const arrived = await receiver.stats()
  const late = arrived.rows === rows ? undefined : `${arrived.rows} of ${rows} rows arrived`
  return {
    ...run,
    delivered: arrived.rows,
    sum: arrived.sum,
    requests: arrived.requests,
    error: late,
    problem: arrived.problem,
  }
}

function print(result) {
  for (const [name, contender] of ranked(result)) {
    if (contender.summary === undefined) continue
    const { rowsPerSecond, wallMs, cpuMs, rssBytes } = contender.summary
    const ratio = contender.ours ? undefined : against(result, name)
    console.log(
      `  ${name.padEnd(30)} ${rate(rowsPerSecond).padStart(7)} rows/s  wall ${time(wallMs.median).padStart(8)} ±${percent(wallMs.spread / 2).padStart(5)}  ` +
        `CPU ${time(cpuMs.median).padStart(8)}  RSS ${megabytes(rssBytes.median).padStart(7)}  ${ratio === undefined ? '' : times(ratio)}`,
    )
  }
}

function save() {
  mkdirSync(outFolder, { recursive: true })
  const all = { facts, targets: judge(results), results }
  writeFileSync(join(outFolder, 'results.json'), `${JSON.stringify(all, null, 1)}\n`)
  writeFileSync(join(outFolder, 'RESULTS.md'), markdown(all))
  writeFileSync(join(outFolder, 'report.html'), html(all))
}

function versions() {
  const read = (path) => JSON.parse(readFileSync(path, 'utf8'))
  const peers = Object.keys(read(join(here, 'package.json')).dependencies)
  return {
    node: process.version,
    'infino-etl': read(join(here, '..', 'package.json')).version,
    ...Object.fromEntries(
      peers.map((name) => [name, read(join(here, 'node_modules', name, 'package.json')).version]),
    ),
  }
}
