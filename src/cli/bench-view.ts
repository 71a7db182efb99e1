/** What `infino-etl bench` found, drawn for a terminal or as JSON. */
import { once } from 'node:events'
import { oneLine } from './tell.js'

export interface StageResult {
  readonly name: 'read' | 'decode' | 'transform' | 'encode' | 'hash' | 'send'
  /** Absent: the stage had nothing to do. */
  readonly ms: number | undefined
  /** What it worked on, where that is known. */
  readonly bytes: number | undefined
}

export interface Measured {
  readonly input: string
  readonly rows: number
  readonly rejected: number
  /** Read from the file. */
  readonly bytes: number
  readonly stages: readonly StageResult[]
  /** Of the fastest pass into nowhere. */
  readonly elapsedMs: number
  readonly sent:
    | {
        readonly to: string
        readonly written: number
        readonly elapsedMs: number
        readonly rowsPerSecond: number
      }
    | undefined
}

const BAR = 30
const NOTHING: Partial<Record<StageResult['name'], string>> = {
  transform: 'none: rows are not looked at (--map <module> adds one)',
  send: 'nowhere (--to <dataset> sends the rows)',
}

export async function writeMeasured(measured: Measured, json: boolean): Promise<void> {
  const text = json ? `${JSON.stringify(asJson(measured))}\n` : `${drawn(measured).join('\n')}\n`
  if (!process.stdout.write(text)) await once(process.stdout, 'drain')
}

export function drawn(measured: Measured): string[] {
  const { rows, stages } = measured
  const most = Math.max(...stages.map(({ ms }) => ms ?? 0))
  const lines = [
    `${oneLine(measured.input)}: ${count(rows)} rows, ${(measured.bytes / 1e6).toFixed(1)} MB`,
    '',
  ]
  for (const { name, ms, bytes } of stages) {
    const label = name.padEnd(10)
    if (ms === undefined) {
      lines.push(`${label} ${NOTHING[name] ?? 'nothing'}`)
      continue
    }
    const perSecond = `${rate(rows, ms)} rows/s`.padStart(19)
    const mb = bytes === undefined ? ''.padStart(11) : `${rate(bytes / 1e6, ms)} MB/s`.padStart(11)
    lines.push(`${label}${perSecond}${mb}  ${bar(ms / most)}  ${time(ms)}`)
  }
  lines.push(
    '',
    `all of it, into nowhere: ${rate(rows, measured.elapsedMs)} rows/s, ${time(measured.elapsedMs)}`,
  )
  const { sent } = measured
  if (sent !== undefined)
    lines.push(
      `into ${oneLine(sent.to)}: ${count(sent.rowsPerSecond)} rows/s, ${time(sent.elapsedMs)}, ${count(sent.written)} written`,
    )
  if (measured.rejected > 0) lines.push(`${count(measured.rejected)} rows were rejected`)
  const slowest = slowestOf(stages)
  if (slowest !== undefined)
    lines.push(`The slowest stage is ${slowest.name}: ${percent(slowest.ms, stages)} of the time.`)
  return lines
}

export function slowestOf(stages: readonly StageResult[]): { name: string; ms: number } | undefined {
  let slowest: { name: string; ms: number } | undefined
  for (const { name, ms } of stages) if (ms !== undefined && ms > (slowest?.ms ?? 0)) slowest = { name, ms }
  return slowest
}

function asJson(measured: Measured) {
  const { stages, rows } = measured
  return {
    ...measured,
    rowsPerSecond: perSecond(rows, measured.elapsedMs),
    slowest: slowestOf(stages)?.name,
    stages: stages.map((stage) => ({
      ...stage,
      ...(stage.ms === undefined ? {} : { rowsPerSecond: perSecond(rows, stage.ms) }),
    })),
  }
}

function perSecond(amount: number, ms: number): number {
  return Math.round((amount / Math.max(ms, 0.001)) * 1000)
}

function rate(amount: number, ms: number): string {
  return count(perSecond(amount, ms))
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

function percent(ms: number, stages: readonly StageResult[]): string {
  const all = stages.reduce((sum, stage) => sum + (stage.ms ?? 0), 0)
  return `${Math.round((ms / all) * 100)} %`
}

function time(ms: number): string {
  return ms >= 1000 ? `${(ms / 1000).toFixed(2)} s` : `${ms.toFixed(ms < 10 ? 1 : 0)} ms`
}

/** Eighths of a cell, so that short stages are told apart. */
function bar(share: number): string {
  const eighths = Math.max(1, Math.round(share * BAR * 8))
  const rest = eighths % 8
  return `${'█'.repeat(Math.floor(eighths / 8))}${rest === 0 ? '' : String.fromCharCode(0x2590 - rest)}`.padEnd(
    BAR,
  )
}
