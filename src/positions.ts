/** How far every lane of a run is: what was saved before, what moves now, and the checkpoint made of both. */
import { type Checkpoint, type CheckpointStore, newRunId } from './checkpoint.js'
import type { Json, Partition } from './contracts.js'
import { EtlError } from './errors.js'
import type { Lane } from './lane.js'
import { Counts, type LaneTotals } from './ledger.js'
import { freshLane, type LaneState, LaneTracker } from './tracker.js'

const SAFE_ID = /^[A-Za-z0-9_~-]+$/

/** What a checkpoint is for. */
export interface RunIdentity {
  readonly source: string
  readonly stages: readonly string[]
  readonly sink: string
}

/** A lane that is being read, with the fate of its rows. */
export interface ActiveLane {
  readonly lane: Lane
  readonly tracker: LaneTracker
}

export class Positions {
  runId: string
  resumed = false
  partitions: readonly Partition[] = []
  /** What the sink's last `flush` returned. */
  sinkState: Json | undefined
  readonly active = new Map<string, ActiveLane>()
  private readonly identity: RunIdentity
  readonly store: CheckpointStore | undefined
  private saved: Readonly<Record<string, LaneState>> = {}
  /** For a sink that flushes: rows written per lane at the last flush. */
  private flushed: Map<string, number> | undefined

  constructor(store: CheckpointStore | undefined, identity: RunIdentity, runId: string | undefined) {
    if (runId !== undefined && !SAFE_ID.test(runId)) {
      throw new EtlError('ETL_OPTION_INVALID', 'option runId: expected characters of A-Z a-z 0-9 - _ ~ only')
    }
    this.store = store
    this.identity = identity
    this.runId = runId ?? newRunId()
  }

  /** Takes over what was saved, if it belongs to this run. */
  async load(): Promise<Checkpoint | undefined> {
    const saved = await this.store?.load()
    if (saved === undefined) return undefined
    this.mustMatch('source', saved.source, this.identity.source)
    this.mustMatch('transforms', saved.stages.join(' > '), this.identity.stages.join(' > '))
    this.mustMatch('sink', saved.sink, this.identity.sink)
    this.runId = saved.runId
    this.resumed = true
    this.partitions = saved.partitions
    this.saved = saved.lanes
    this.sinkState = saved.sinkState
    return saved
  }

  setPartitions(source: string, partitions: readonly Partition[]): void {
    const seen = new Set<string>()
    for (const { id } of partitions) {
      if (!SAFE_ID.test(id) || seen.has(id)) {
        throw new EtlError(
          'ETL_PARTITION_ID',
          `${source} gave the partition id ${JSON.stringify(id)}: expected unique ids of A-Z a-z 0-9 - _ ~`,
        )
      }
      seen.add(id)
    }
    this.partitions = partitions
  }

  stateOf(id: string): LaneState {
    return this.saved[id] ?? freshLane
  }

  /** Follows a lane from here on. */
  follow(lane: Lane): LaneTracker {
    const tracker = new LaneTracker(this.stateOf(lane.id))
    this.active.set(lane.id, { lane, tracker })
    return tracker
  }

  async save(finished: boolean): Promise<void> {
    await this.store?.save(this.checkpoint(finished))
  }

  checkpoint(finished: boolean): Checkpoint {
    const lanes: Record<string, LaneState> = { ...this.saved }
    for (const [id, { tracker }] of this.active) lanes[id] = tracker.snapshot()
    const { runId, partitions, sinkState } = this
    return { version: 1, runId, ...this.identity, partitions, lanes, sinkState, finished }
  }

  /** The sink made durable all that it had accepted. */
  noteFlush(state: Json | undefined): void {
    this.sinkState = state
    this.flushed = new Map([...this.active].map(([id, { tracker }]) => [id, tracker.written]))
  }

  /** What was accepted did not become durable after all. */
  forgetFlush(): void {
    this.flushed = undefined
  }

  /** Every row that was given to the sink is settled, so that the sink holds what a checkpoint can describe. */
  isSettled(): boolean {
    return [...this.active.values()].every(({ tracker }) => tracker.isSettled)
  }

  /** Rows given on by the source, earlier runs included. */
  readRows(): number {
    let rows = 0
    for (const [id, lane] of Object.entries(this.saved)) if (!this.active.has(id)) rows += lane.counts[0] ?? 0
    for (const { lane } of this.active.values()) rows += lane.counts.out[0] ?? 0
    return rows
  }

  /** What each lane adds to the ledger. `durable`: only what survived the last flush counts as written. */
  totals(stages: number, durable: boolean): LaneTotals[] {
    const totals: LaneTotals[] = []
    for (const [id, lane] of Object.entries(this.saved)) {
      if (this.active.has(id)) continue
      const { acked, expected, written, rejected, done } = lane
      totals.push({
        acked,
        counts: new Counts(stages, lane.counts),
        expected,
        ended: done,
        written,
        rejected,
      })
    }
    for (const [id, { lane, tracker }] of this.active) {
      totals.push({
        acked: this.stateOf(id).acked,
        counts: lane.counts,
        expected: lane.expected,
        ended: lane.ended && !lane.limited,
        written: durable ? (this.flushed?.get(id) ?? this.stateOf(id).written) : tracker.written,
        rejected: tracker.rejected,
      })
    }
    return totals
  }

  private mustMatch(part: string, saved: string, mine: string): void {
    if (saved === mine) return
    throw new EtlError(
      'ETL_CHECKPOINT_MISMATCH',
      `checkpoint ${this.store?.name} belongs to another run: its ${part} is ${saved || 'none'}, this one's is ${mine || 'none'}. Use another checkpoint, or delete it to start over`,
    )
  }
}
