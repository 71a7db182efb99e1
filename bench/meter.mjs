// Loaded first in every measured process: when it ends, writes down what it used from its start on.
import { writeFileSync } from 'node:fs'

process.on('exit', (code) => {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
  writeFileSync(
    process.env.BENCH_METER,
    JSON.stringify({
      code,
      cpuMs: (userCPUTime + systemCPUTime) / 1000,
      rssBytes: maxRSS * 1024,
      window: globalThis.benchWindow,
    }),
  )
})
