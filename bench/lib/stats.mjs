/** The middle value, or the mean of the two in the middle. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** Median, least and most of each measure over the runs; `spread` is the distance of the ends over the median. */
export function summary(runs, rows) {
  const of = (key) => {
    const values = runs.map((run) => run[key])
    const middle = median(values)
    return {
      median: middle,
      min: Math.min(...values),
      max: Math.max(...values),
      spread: (Math.max(...values) - Math.min(...values)) / middle,
    }
  }
  const wallMs = of('wallMs')
  return {
    rowsPerSecond: Math.round((rows / wallMs.median) * 1000),
    wallMs,
    cpuMs: of('cpuMs'),
    rssBytes: of('rssBytes'),
  }
}
