// report.html: one file without scripts and without anything from elsewhere, for wide and narrow screens, by day and by night.
import { machine, settingsOf } from './markdown.mjs'
import { against, megabytes, percent, ranked, rate, time, times } from './text.mjs'

export function html({ facts, results, targets }) {
  const groups = [...new Set(results.map((one) => one.group))]
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>infino-etl: benchmark report</title>
<style>${STYLE}</style>
<header>
<h1>How fast is infino-etl?</h1>
<p>${escaped(facts.command)}, ${facts.date.slice(0, 10)}${facts.quick ? '; <strong>a quick run: small files, so start-up weighs more than it does in use</strong>' : ''}</p>
<dl>${Object.entries(machine(facts))
    .map(([name, value]) => `<div><dt>${escaped(name)}</dt><dd>${escaped(value)}</dd></div>`)
    .join('')}</dl>
</header>
<main>
${targets.length > 0 ? targetsSection(targets) : ''}
${groups
  .map((group) =>
    groupSection(
      group,
      results.filter((one) => one.group === group),
    ),
  )
  .join('\n')}
<section><h2>How each contender was set up</h2><ul class="settings">
${[...settingsOf(results)].map(([name, said]) => `<li><b>${escaped(name)}</b> ${said.map(escaped).join('; or ')}</li>`).join('\n')}
</ul>
<p class="versions">${Object.entries(facts.versions)
    .map(([name, version]) => escaped(`${name} ${version}`))
    .join(', ')}</p></section>
</main>
</html>
`
}

function targetsSection(targets) {
  const reached = targets.filter((target) => target.reached).length
  return `<section><h2>Targets</h2>
<p>${reached} of ${targets.length} reached. A bar that crosses the line has reached what was asked; the scale is logarithmic.</p>
<div class="targets">
${targets.map(target).join('\n')}
</div></section>`
}

/** A bar over four decades, with what was asked in the middle. */
function target({ title, asked, got, ratio, atLeast, reached }) {
  const share = Math.max(-1, Math.min(1, Math.log10(ratio / atLeast)))
  const width = 50 + share * 50
  return `<div class="target ${reached ? 'reached' : 'missed'}">
<p><span>${escaped(title)}</span></p>
<svg viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label="${escaped(`${got} of ${asked}`)}">
<rect class="track" width="100" height="10"/><rect class="bar" width="${width.toFixed(1)}" height="10"/><rect class="line" x="49.7" width="0.6" height="10"/></svg>
<p class="figure"><b>${escaped(got)}</b> <span>asked ${escaped(asked)}</span> <span class="verdict">${reached ? 'reached' : 'not reached'}</span></p>
</div>`
}

function groupSection(group, results) {
  return `<section><h2>${escaped(group[0].toUpperCase() + group.slice(1))}</h2>
<p>${escaped(ABOUT[group] ?? '')}</p>
<div class="cases">${results.map((one) => card(one)).join('\n')}</div></section>`
}

const ABOUT = {
  decode: 'From a file to rows in memory. Start-up and imports are left out for everyone. Longer is better.',
  core: 'From rows in memory to batches that are thrown away. Start-up and imports are left out for everyone. Longer is better.',
  paging: 'From pages to batches. Start-up and imports are left out for everyone. Longer is better.',
  'end to end':
    'From a file to a server that has acknowledged every row. The whole process counts, from start to end. Longer is better.',
  memory:
    'Peak memory of the whole process, for a file and for the same rows twenty times over. Shorter is better.',
}

function card(one) {
  const memory = one.group === 'memory'
  const value = ({ summary }) => (memory ? summary.rssBytes : invert(summary.wallMs, one.rows))
  const done = ranked(one).filter(([, { summary }]) => summary !== undefined)
  const most = Math.max(...done.map(([, contender]) => value(contender).max))
  const bars = done.map(([name, contender]) => {
    const { rowsPerSecond, cpuMs, rssBytes, wallMs } = contender.summary
    const ratio = contender.ours ? undefined : against(one, name)
    const big = memory ? megabytes(rssBytes.median) : `${rate(rowsPerSecond)} rows/s`
    const more = memory
      ? `${rate(rowsPerSecond)} rows/s, CPU ${time(cpuMs.median)}`
      : `CPU ${time(cpuMs.median)}, ${megabytes(rssBytes.median)}, wall ${time(wallMs.median)} (spread ${percent(wallMs.spread)})`
    return `<div class="row${contender.ours ? ' ours' : ''}">
<p class="name">${escaped(name)}${ratio === undefined || memory ? '' : ` <span>${ratio >= 1 ? `infino-etl is ${times(ratio)} as fast` : `${times(1 / ratio)} as fast as infino-etl`}</span>`}</p>
${bar(value(contender), most, `${name}: ${big}`)}
<p class="figure"><b>${big}</b> <span>${more}</span></p>
</div>`
  })
  const failed = ranked(one).filter(([, { summary, checked }]) => summary === undefined || checked === 'no')
  return `<article><h3>${escaped(one.title)}</h3>
<p class="size">${one.rows.toLocaleString('en')} rows${one.bytes ? `, ${megabytes(one.bytes)}` : ''}</p>
${bars.join('\n')}
${failed.map(([name, { error }]) => `<p class="failed">${escaped(name)}: ${escaped(String(error).split('\n')[0])}</p>`).join('\n')}
</article>`
}

/** Rows per second out of milliseconds: the least time is the most rows. */
function invert({ median, min, max }, rows) {
  return { median: rows / median, min: rows / max, max: rows / min }
}

/** The median as a bar, the fastest and slowest run as a thin line over it. */
function bar({ median, min, max }, most, label) {
  const x = (value) => ((value / most) * 100).toFixed(2)
  return `<svg viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label="${escaped(label)}"><rect class="track" width="100" height="10"/><rect class="bar" width="${x(median)}" height="10"/><rect class="spread" x="${x(min)}" y="4" width="${Math.max(0.3, x(max) - x(min)).toFixed(2)}" height="2"/></svg>`
}

function escaped(text) {
  return String(text).replace(
    /[&<>"]/g,
    (char) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[char],
  )
}

const STYLE = `
:root{--ground:#fbfaf7;--card:#fff;--ink:#1c1f24;--soft:#636b76;--line:#e3e1da;--track:#efede6;--ours:#0b7a5f;--theirs:#a9b2bd;--spread:#1c1f24;--bad:#b3432b}
@media (prefers-color-scheme:dark){:root{--ground:#14171b;--card:#1c2026;--ink:#e8eaed;--soft:#9aa3ae;--line:#2c323a;--track:#262c34;--ours:#3ecf9f;--theirs:#5d6876;--spread:#e8eaed;--bad:#ff8a70}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;font-variant-numeric:tabular-nums}
header,main{max-width:72rem;margin:0 auto;padding:0 1rem}
header{padding-top:2.5rem}
h1{font-size:clamp(1.7rem,5vw,2.6rem);line-height:1.15;margin:0 0 .3rem}
h2{font-size:1.35rem;margin:2.5rem 0 .3rem}
h3{font-size:1rem;margin:0}
p{margin:0}
header>p,section>p{color:var(--soft);overflow-wrap:anywhere}
dl{display:flex;flex-wrap:wrap;gap:.5rem 2rem;margin:1rem 0 0}
dt{color:var(--soft);font-size:.8rem}dd{margin:0}
.cases{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,27rem),1fr));gap:1rem;margin-top:1rem}
article,.targets{background:var(--card);border:1px solid var(--line);border-radius:.7rem;padding:1rem}
.targets{margin-top:1rem;display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,27rem),1fr));gap:.9rem 2rem}
.size{color:var(--soft);font-size:.85rem;margin-bottom:.6rem}
.row{margin-top:.7rem}
.name{font-size:.9rem;display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 1rem}
.name span{color:var(--soft);font-size:.8rem}
.ours .name{font-weight:650}
svg{display:block;width:100%;height:.8rem;border-radius:.25rem;overflow:hidden;margin:.15rem 0}
.track{fill:var(--track)}.bar{fill:var(--theirs)}.ours .bar,.reached .bar{fill:var(--ours)}.missed .bar{fill:var(--bad)}
.spread{fill:var(--spread);opacity:.55}.line{fill:var(--ink)}
.figure{font-size:.9rem}.figure span{color:var(--soft);font-size:.8rem;margin-left:.4rem}
.target>p:first-child{font-size:.9rem;line-height:1.35}
.verdict{font-weight:600}.reached .figure .verdict{color:var(--ours)}.missed .figure .verdict{color:var(--bad)}
.failed{color:var(--bad);font-size:.85rem;margin-top:.7rem;overflow-wrap:anywhere}
.settings{padding-left:1.1rem;color:var(--soft);font-size:.9rem;overflow-wrap:anywhere}.settings b{color:var(--ink)}
.versions{font-size:.85rem;color:var(--soft);padding-bottom:3rem;overflow-wrap:anywhere}
`
