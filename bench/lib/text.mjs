// How figures are written, in the terminal, in RESULTS.md and in the report alike.

export function rate(rowsPerSecond) {
  if (rowsPerSecond >= 1e6) return `${(rowsPerSecond / 1e6).toFixed(2)}M`
  if (rowsPerSecond >= 1e4) return `${Math.round(rowsPerSecond / 1e3)}k`
  return rowsPerSecond >= 1e3 ? `${(rowsPerSecond / 1e3).toFixed(1)}k` : String(rowsPerSecond)
}

export function time(ms) {
  return ms >= 10_000
    ? `${(ms / 1000).toFixed(1)} s`
    : ms >= 1000
      ? `${(ms / 1000).toFixed(2)} s`
      : `${Math.round(ms)} ms`
}

export function percent(share) {
  return `${Math.round(share * 100)} %`
}

export function megabytes(bytes) {
  return `${Math.round(bytes / 1e6)} MB`
}

export function times(ratio) {
  return `${ratio >= 10 ? ratio.toFixed(1) : ratio.toFixed(2)} x`
}

/** Contenders by rows per second, the fastest first; those that failed last. */
export function ranked(one) {
  return Object.entries(one.contenders).sort(
    ([, a], [, b]) => (b.summary?.rowsPerSecond ?? -1) - (a.summary?.rowsPerSecond ?? -1),
  )
}

/**
 * How a contender's time stands to ours: above 1, ours is that many times faster. What leaves rows unparsed is
 * compared with what leaves them unparsed. `one.ours` names ours where there are several.
 */
export function against(one, name, measure = 'wallMs') {
  const like = name.endsWith(UNPARSED) ? `infino-etl${UNPARSED}` : (one.ours ?? 'infino-etl')
  const ours = one.contenders[like]?.summary?.[measure].median
  const theirs = one.contenders[name].summary?.[measure].median
  return ours === undefined || theirs === undefined ? undefined : theirs / ours
}

const UNPARSED = ' (unparsed)'
