/** Dates in queries: ISO 8601, and the date math of QueryDSL such as `now-1d/d` or `2024-01-01||+1M`. */

const ISO =
  /^(\d{4})-(\d\d)(?:-(\d\d))?(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?(Z|[+-]\d\d:?\d\d)?$/
const STEP = /([+-]\d+|\/)([yMwdhHms])/y

/**
 * Milliseconds since the epoch, undefined where the text is no date. With `up`, what the text leaves open (the time of
 * a bare date, the rest of a rounded unit) is its last millisecond rather than its first.
 */
export function parseDate(text: string, nowMs: number, up: boolean): number | undefined {
  let start: number | undefined
  let math: string
  if (text.startsWith('now')) {
    start = nowMs
    math = text.slice(3)
  } else {
    const bar = text.indexOf('||')
    start = parseIso(bar < 0 ? text : text.slice(0, bar), up && bar < 0)
    math = bar < 0 ? '' : text.slice(bar + 2)
  }
  if (start === undefined) return undefined
  return calculate(start, math, up)
}

function parseIso(text: string, up: boolean): number | undefined {
  const match = ISO.exec(text)
  if (match === null) return undefined
  const [, year, month, day = '01', hour, minute, second, fraction, zone] = match
  const time =
    hour === undefined
      ? up
        ? '23:59:59.999'
        : '00:00:00.000'
      : `${hour}:${minute}:${second ?? '00'}.${(fraction ?? '').padEnd(3, '0').slice(0, 3)}`
  const offset = zone === undefined ? 'Z' : zone.replace(/^([+-]\d\d)(\d\d)$/, '$1:$2')
  const ms = Date.parse(`${year}-${month}-${day}T${time}${offset}`)
  return Number.isNaN(ms) ? undefined : ms
}

function calculate(startMs: number, math: string, up: boolean): number | undefined {
  let date = new Date(startMs)
  STEP.lastIndex = 0
  let at = 0
  while (at < math.length) {
    STEP.lastIndex = at
    const step = STEP.exec(math)
    if (step === null) return undefined
    at = STEP.lastIndex
    const unit = step[2]!
    if (step[1] === '/') {
      date = floor(date, unit)
      if (up) date = new Date(shift(date, 1, unit).getTime() - 1)
    } else date = shift(date, Number(step[1]), unit)
  }
  const ms = date.getTime()
  return Number.isNaN(ms) ? undefined : ms
}

const FIXED_MS: Readonly<Record<string, number>> = {
  w: 604_800_000,
  d: 86_400_000,
  h: 3_600_000,
  H: 3_600_000,
  m: 60_000,
  s: 1000,
}

function shift(date: Date, by: number, unit: string): Date {
  const fixed = FIXED_MS[unit]
  if (fixed !== undefined) return new Date(date.getTime() + by * fixed)
  const months = unit === 'y' ? by * 12 : by
  const shifted = new Date(date)
  shifted.setUTCDate(1)
  shifted.setUTCMonth(shifted.getUTCMonth() + months)
  // The 31st of a month that has 30 days is its last.
  const last = new Date(Date.UTC(shifted.getUTCFullYear(), shifted.getUTCMonth() + 1, 0)).getUTCDate()
  shifted.setUTCDate(Math.min(date.getUTCDate(), last))
  return shifted
}

function floor(date: Date, unit: string): Date {
  const year = date.getUTCFullYear()
  if (unit === 'y') return new Date(Date.UTC(year, 0, 1))
  if (unit === 'M') return new Date(Date.UTC(year, date.getUTCMonth(), 1))
  const fixed = FIXED_MS[unit]!
  // Weeks begin on Monday; the epoch was a Thursday.
  const offset = unit === 'w' ? 4 * FIXED_MS.d! : 0
  return new Date(Math.floor((date.getTime() - offset) / fixed) * fixed + offset)
}
