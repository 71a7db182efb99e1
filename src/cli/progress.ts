/** How far a load is, on stderr: a bar on a terminal, now and then a line elsewhere. */
import type { Progress } from '../report.js'
import { masked, oneLine } from './tell.js'

export interface ProgressView {
  readonly update: (progress: Progress) => void
  /** Prints a line without breaking the bar. */
  readonly note: (line: string) => void
  readonly stop: () => void
}

/** What the view draws on: stderr, or a stand-in. */
export type ProgressStream = Pick<NodeJS.WriteStream, 'write'> & { readonly isTTY?: boolean }

const BAR_MS = 200
const LINE_MS = 5000
/** The rate is that of so long: an average over the whole run would tell nothing about the rest. */
const WINDOW_MS = 10_000
/** Before that any forecast would be a guess. */
const FORECAST_AFTER_MS = 3000

export async function progressView(stream: ProgressStream): Promise<ProgressView> {
  const terminal = stream.isTTY === true && process.env.TERM !== 'dumb'
  return terminal ? barView(stream) : lineView(stream)
}

function lineView(stream: ProgressStream): ProgressView {
  const rate = new Rate()
  let nextMs = LINE_MS
  return {
    update(progress) {
      rate.add(progress)
      if (progress.elapsedMs < nextMs) return
      nextMs = progress.elapsedMs + LINE_MS
      stream.write(`${describeProgress(progress, rate)}\n`)
    },
    note: (line) => void stream.write(`${oneLine(masked(line))}\n`),
    stop: () => {},
  }
}

async function barView(stream: ProgressStream): Promise<ProgressView> {
  const { default: cliProgress } = await import('cli-progress')
  const rate = new Rate()
  let drawnMs = -BAR_MS
  let text = ''
  const bar = new cliProgress.SingleBar({
    stream: stream as NodeJS.WriteStream,
    fps: 1000 / BAR_MS,
    barsize: 20,
    hideCursor: true,
    clearOnComplete: true,
    // Its own handler would take the signal away from the load.
    gracefulExit: false,
    forceRedraw: true,
    synchronousUpdate: false,
    format: (options, { value, total }) => {
      if (total <= 1) return text
      const full = Math.min(options.barsize ?? 0, Math.floor((value / total) * (options.barsize ?? 0)))
      return `${'█'.repeat(full)}${'░'.repeat((options.barsize ?? 0) - full)}  ${text}`
    },
  })
  bar.start(1, 0)
  const stop = () => bar.stop()
  // A second signal ends the process at once; the terminal shall have its cursor back.
  process.once('exit', stop)
  return {
    update(progress) {
      rate.add(progress)
      if (progress.elapsedMs - drawnMs < BAR_MS) return
      drawnMs = progress.elapsedMs
      text = describeProgress(progress, rate)
      if (progress.ofBytes !== undefined && progress.ofBytes > 1) bar.setTotal(progress.ofBytes)
      bar.update(Math.min(progress.bytes, progress.ofBytes ?? 0))
    },
    note: (line) => void stream.write(`\r\u001b[K${oneLine(masked(line))}\n`),
    stop: () => {
      process.off('exit', stop)
      stop()
    },
  }
}

/** The last seconds of a run. */
export class Rate {
  private readonly samples: { ms: number; rows: number; bytes: number }[] = []

  add({ elapsedMs, written, rejected, bytes }: Progress): void {
    const last = this.samples.at(-1)
    if (last !== undefined && elapsedMs - last.ms < BAR_MS) return
    this.samples.push({ ms: elapsedMs, rows: written + rejected, bytes })
    while (this.samples.length > 2 && elapsedMs - this.samples[0]!.ms > WINDOW_MS) this.samples.shift()
  }

  /** Per second. */
  of(what: 'rows' | 'bytes'): number {
    const first = this.samples[0]
    const last = this.samples.at(-1)
    if (first === undefined || last === undefined || last.ms <= first.ms) return 0
    return ((last[what] - first[what]) / (last.ms - first.ms)) * 1000
  }
}

/** `12,000 rows  45,000 rows/s  8.1 MB/s  41%  ~12 s left  3 rejected` */
export function describeProgress(progress: Progress, rate: Rate): string {
  const number = (value: number) => Math.round(value).toLocaleString('en-US')
  const { read, written, rejected, bytes, ofBytes, elapsedMs } = progress
  const bytesPerSecond = rate.of('bytes')
  const parts = [`${number(written)} rows`]
  const rowsPerSecond = rate.of('rows')
  if (rowsPerSecond > 0) parts.push(`${number(rowsPerSecond)} rows/s`)
  if (bytesPerSecond > 0) parts.push(`${(bytesPerSecond / 1e6).toFixed(1)} MB/s`)
  if (ofBytes !== undefined && ofBytes > 0) {
    const percent = Math.floor((Math.min(bytes, ofBytes) / ofBytes) * 100)
    // All is read before all is written.
    parts.push(`${Math.min(percent, read > written + rejected ? 99 : 100)}%`)
    if (elapsedMs >= FORECAST_AFTER_MS && bytesPerSecond > 0 && bytes < ofBytes)
      parts.push(`~${duration((ofBytes - bytes) / bytesPerSecond)} left`)
  }
  if (rejected > 0) parts.push(`${number(rejected)} rejected`)
  return parts.join('  ')
}

/** Seconds as `12 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(seconds: number): string {
  const whole = Math.max(1, Math.ceil(seconds))
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}
