// RESULTS.md
import { against, megabytes, percent, ranked, rate, time, times } from './text.mjs'

export function markdown({ facts, results, targets }) {
  const out = ['# Benchmark results', '']
  out.push(
    `Made by \`${facts.command}\` on ${facts.date.slice(0, 10)}. Figures move from machine to machine; ratios within one run are what to look at.`,
    '',
  )
  out.push(...table(['', ''], Object.entries(machine(facts))), '')
  out.push(...howMeasured(facts), '')
  if (targets.length > 0) {
    out.push('## Targets', '')
    out.push(
      ...table(
        ['target', 'asked', 'measured', ''],
        targets.map(({ title, asked, got, reached }) => [
          title,
          asked,
          got,
          reached ? 'reached' : '**not reached**',
        ]),
      ),
      '',
    )
  }
  for (const group of [...new Set(results.map((one) => one.group))]) {
    out.push(`## ${group[0].toUpperCase()}${group.slice(1)}`, '')
    for (const one of results.filter((result) => result.group === group)) out.push(...section(one), '')
  }
  out.push('## How each contender was set up', '')
  for (const [name, settings] of settingsOf(results)) out.push(`- **${name}**: ${settings.join('; or ')}`)
  out.push('', '## Versions', '')
  out.push(
    Object.entries(facts.versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', '),
    '',
  )
  return out.join('\n')
}

export function machine(facts) {
  return {
    Machine: `${facts.machine.cpu}, ${facts.machine.cores} cores, ${megabytes(facts.machine.memoryBytes)} memory, ${facts.machine.system}`,
    Node: facts.versions.node,
    'infino-etl': facts.versions['infino-etl'],
    'Load before the run': facts.machine.load.toFixed(2),
    ...(facts.capacity === undefined
      ? {}
      : {
          Receiver: `takes ${rate(facts.capacity.rowsPerSecond)} rows/s of ${facts.capacity.rowBytes} bytes when nothing is made on the other side`,
        }),
  }
}

function howMeasured(facts) {
  return [
    'Every run is a process of its own; contenders take turns (A B A B), ' +
      `${facts.rounds} rounds each. Before that, each runs once unmeasured and every row is checked: all must deliver the same rows, ` +
      'by count and by a checksum that knows no order. **Decode**, **core** and **paging** leave start-up and imports out for everyone; ' +
      '**end to end** and **memory** count everything from the start of the process to its end, for everyone. ' +
      'Spread is the distance from the fastest to the slowest run over the median. CPU is user and system time of the client process with all its threads; RSS is its peak. ' +
      'The peers that upload send no signature, no body hash and no ids; infino-etl sends all three.',
  ]
}

function section(one) {
  const rows = ranked(one).map(([name, contender]) => {
    if (contender.summary === undefined)
      return [name, 'failed', contender.error?.split('\n')[0] ?? '', '', '', '', '', '']
    const { rowsPerSecond, wallMs, cpuMs, rssBytes } = contender.summary
    const ratio = contender.ours ? undefined : against(one, name)
    return [
      contender.ours ? `**${name}**` : name,
      rate(rowsPerSecond),
      time(wallMs.median),
      percent(wallMs.spread),
      time(cpuMs.median),
      megabytes(rssBytes.median),
      ratio === undefined ? '' : times(ratio),
      contender.checked ?? '',
    ]
  })
  return [
    `### ${one.title} (\`${one.name}\`)`,
    '',
    `${one.rows.toLocaleString('en')} rows${one.bytes ? `, ${megabytes(one.bytes)}` : ''}.`,
    '',
    ...table(
      ['contender', 'rows/s', 'wall', 'spread', 'CPU', 'peak RSS', 'infino-etl is faster by', 'rows checked'],
      rows,
    ),
  ]
}

export function settingsOf(results) {
  const all = new Map()
  for (const one of results)
    for (const [name, { settings }] of Object.entries(one.contenders)) {
      const said = all.get(name) ?? []
      if (settings && !said.includes(settings)) said.push(settings)
      all.set(name, said)
    }
  return all
}

function table(head, rows) {
  const line = (cells) => `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)]
}
