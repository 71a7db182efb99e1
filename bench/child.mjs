// One run of one contender. The window opens when everything is imported, and closes when the last row was handed over.
import { CASES } from './cases/index.mjs'
import { checkingSink, countingSink } from './lib/sink.mjs'

const { name, contender, check, ...given } = JSON.parse(process.env.BENCH_RUN)
const found = CASES.find((one) => one.name === name)
const sink = check ? checkingSink() : countingSink()
const run = await found.contenders[contender].prepare({ ...given, check, sink })
const before = process.cpuUsage()
const started = performance.now()
await run()
const wallMs = performance.now() - started
const { user, system } = process.cpuUsage(before)
globalThis.benchWindow = { wallMs, cpuMs: (user + system) / 1000, delivered: sink.total, sum: sink.sum() }
