// Where a process spent its time: self time by function, from a .cpuprofile.
import { readFileSync } from 'node:fs'

/** `[{ name, where, ms, share }]`, the most first; idle time is left out. */
export function topFunctions(file, count = 25) {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, 'utf8'))
  const byId = new Map(nodes.map((node) => [node.id, node.callFrame]))
  const spent = new Map()
  let all = 0
  for (const [i, id] of samples.entries()) {
    const { functionName, url, lineNumber } = byId.get(id)
    if (functionName === '(idle)' || functionName === '(root)') continue
    const ms = timeDeltas[i] / 1000
    all += ms
    const where =
      url.replace(/^file:\/\/.*?\/(?=dist\/|node_modules\/|bench\/)/, '') + (url ? `:${lineNumber + 1}` : '')
    const key = `${functionName || '(anonymous)'} ${where}`
    spent.set(key, (spent.get(key) ?? 0) + ms)
  }
  return [...spent]
    .sort(([, a], [, b]) => b - a)
    .slice(0, count)
    .map(([key, ms]) => {
      const [name, where = ''] = key.split(/ (?=[^ ]*$)/)
      return { name, where, ms, share: ms / all }
    })
}

if (process.argv[1]?.endsWith('profile.mjs')) {
  for (const file of process.argv.slice(2)) {
    console.log(file)
    for (const { name, where, ms, share } of topFunctions(file))
      console.log(
        `  ${(share * 100).toFixed(1).padStart(5)} %  ${ms.toFixed(0).padStart(6)} ms  ${name}  ${where}`,
      )
  }
}
