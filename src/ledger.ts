/** The counts at each border of a run, and whether they balance. */

/** Counts of one lane: for stage `k` (0 is the source) the rows it gave on, and the rows rejected in it. */
export class Counts {
  readonly out: number[]
  readonly rejected: number[]

  constructor(stages: number, saved?: readonly number[]) {
    this.out = Array.from({ length: stages }, (_, k) => saved?.[2 * k] ?? 0)
    this.rejected = Array.from({ length: stages }, (_, k) => saved?.[2 * k + 1] ?? 0)
  }
}

/** Facts about one stage that the ledger needs. */
export interface StageFacts {
  readonly name: string
  readonly count: 'same' | 'fewer' | 'any'
}

export interface TransformEntry {
  readonly name: string
  readonly in: number
  readonly out: number
  readonly rejected: number
  /** Rows it left out on purpose; only where it says `fewer`. */
  readonly dropped: number
  readonly count: 'same' | 'fewer' | 'any'
}

export interface Ledger {
  readonly source: {
    readonly name: string
    readonly read: number
    readonly rejected: number
    readonly out: number
    /** What the source declared, where it declared for every partition. */
    readonly expected?: number | undefined
  }
  readonly transforms: readonly TransformEntry[]
  readonly sink: {
    readonly name: string
    readonly in: number
    readonly written: number
    readonly rejected: number
    /** Rows whose fate is not known; 0 unless the run was stopped or failed. */
    readonly unresolved: number
  }
  /** Rejected anywhere. */
  readonly rejected: number
  readonly balanced: boolean
  /** What does not balance, one sentence each. */
  readonly problems: readonly string[]
  /** Where the source gave another number of rows than it declared. */
  readonly incomplete: readonly string[]
}

/** What one lane contributes. */
export interface LaneTotals {
  /** Rows below this ordinal were dealt with; a resumed lane may not have read them again yet. */
  readonly acked: number
  readonly counts: Counts
  readonly expected: number | undefined
  /** The source was read to its end, so that `expected` must be met. */
  readonly ended: boolean
  readonly written: number
  readonly rejected: number
}

/** Adds up the lanes and checks every border. */
export function makeLedger(
  source: string,
  stages: readonly StageFacts[],
  sink: string,
  lanes: readonly LaneTotals[],
  settled: boolean,
): Ledger {
  const sum = (pick: (lane: LaneTotals) => number) => lanes.reduce((total, lane) => total + pick(lane), 0)
  const problems: string[] = []
  const incomplete: string[] = []
  const out = sum((lane) => lane.counts.out[0] ?? 0)
  const refused = sum((lane) => lane.counts.rejected[0] ?? 0)
  for (const lane of lanes) {
    const got = (lane.counts.out[0] ?? 0) + (lane.counts.rejected[0] ?? 0)
    if (lane.ended && lane.expected !== undefined && lane.expected !== got) {
      incomplete.push(`${source} declared ${lane.expected} rows and gave ${got}`)
    }
  }
  const transforms = stages.map((stage, index): TransformEntry => {
    const entered = sum((lane) => lane.counts.out[index] ?? 0)
    const left = sum((lane) => lane.counts.out[index + 1] ?? 0)
    const rejected = sum((lane) => lane.counts.rejected[index + 1] ?? 0)
    const missing = entered - left - rejected
    if (settled && stage.count === 'same' && missing !== 0) {
      problems.push(`${stage.name} must keep the count: ${entered} in, ${left} out, ${rejected} rejected`)
    }
    if (stage.count === 'fewer' && missing < 0) {
      problems.push(`${stage.name} may not add rows: ${entered} in, ${left} out, ${rejected} rejected`)
    }
    const dropped = stage.count === 'fewer' && settled ? Math.max(0, missing) : 0
    return { name: stage.name, in: entered, out: left, rejected, dropped, count: stage.count }
  })
  const entered = sum((lane) => Math.max(lane.counts.out[stages.length] ?? 0, settled ? 0 : lane.acked))
  const written = sum((lane) => lane.written)
  const rejected = sum((lane) => lane.rejected)
  const unresolved = entered - written - rejected
  if (unresolved < 0)
    problems.push(`${sink} answered for ${written + rejected} rows and was given ${entered}`)
  if (settled && unresolved > 0)
    problems.push(`${unresolved} rows given to ${sink} were neither written nor rejected`)
  const declared = lanes.length > 0 && lanes.every((lane) => lane.expected !== undefined)
  return {
    source: {
      name: source,
      read: out + refused,
      rejected: refused,
      out,
      expected: declared ? sum((lane) => lane.expected ?? 0) : undefined,
    },
    transforms,
    sink: { name: sink, in: entered, written, rejected, unresolved: Math.max(0, unresolved) },
    rejected: refused + rejected + transforms.reduce((total, stage) => total + stage.rejected, 0),
    balanced: problems.length === 0,
    problems,
    incomplete,
  }
}

/** One line: `1,000 read = 990 written + 7 dropped + 3 rejected`. */
export function describeLedger(ledger: Ledger): string {
  const number = (value: number) => value.toLocaleString('en-US')
  const parts = [`${number(ledger.sink.written)} written`]
  const dropped = ledger.transforms.reduce((total, stage) => total + stage.dropped, 0)
  if (dropped > 0) parts.push(`${number(dropped)} dropped`)
  parts.push(`${number(ledger.rejected)} rejected`)
  if (ledger.sink.unresolved > 0) parts.push(`${number(ledger.sink.unresolved)} unresolved`)
  for (const stage of ledger.transforms) {
    const added = stage.out + stage.rejected - stage.in
    if (stage.count === 'any' && added !== 0) parts.push(`${number(-added)} by ${stage.name}`)
  }
  const sides = `${number(ledger.source.read)} read = ${parts.join(' + ')}`
  return ledger.balanced ? sides : `${sides}; does not balance: ${ledger.problems.join('; ')}`
}
