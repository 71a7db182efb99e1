/** A source, a receiver and a history of crashes, all from one seed, and what must be true at the end. */
import { putRow, rowsBatch, textBatch } from '../../src/batch.js'
import type { CheckpointStore } from '../../src/checkpoint.js'
import type {
  Batch,
  BodyFrame,
  BodySink,
  Encoder,
  Json,
  ReadRequest,
  RowFrame,
  RowSink,
  Sink,
  Source,
  WriteResult,
} from '../../src/contracts.js'
import { EtlError } from '../../src/errors.js'
import { type Chance, turns } from './clock.js'

export interface Item {
  readonly part: string
  readonly n: number
  readonly key: string
  readonly copy?: number
}

/** One life of the process: after `kill` nothing it does has an effect, and nothing it waits for comes. */
export class Life {
  dead = false
  kill(): void {
    this.dead = true
  }
  /** Lets the living pass, and holds the dead for ever. */
  async pass(): Promise<void> {
    if (this.dead) await new Promise(() => {})
  }
}

export interface WorldPlan {
  readonly partitions: readonly { readonly id: string; readonly rows: number }[]
  /** Rows `n` that the source itself rejects. */
  readonly unreadable: (part: string, n: number) => boolean
  readonly declares: boolean
  readonly text: boolean
}

export function worldSource(plan: WorldPlan, random: Chance, life: Life): Source<Item> {
  const single = plan.partitions.length === 1
  const rowsOf = (id: string) => plan.partitions.find((partition) => partition.id === id)?.rows ?? 0
  const keyOf = (n: number) => `k${n % 7}`
  return {
    name: 'world',
    ...(single ? {} : { partitions: async () => plan.partitions.map(({ id }) => ({ id })) }),
    async *read(request: ReadRequest) {
      const id = request.partition?.id ?? (plan.partitions[0]?.id as string)
      const total = rowsOf(id)
      if (plan.declares) request.expect?.(total)
      let n = (request.from as number | undefined) ?? 0
      while (n < total) {
        if (random.happens(0.3)) await turns(random.whole(0, 2))
        await life.pass()
        if (request.signal?.aborted) throw request.signal.reason
        const rows: Item[] = []
        const end = Math.min(total, n + random.whole(0, 9))
        for (; n < end; n++) {
          if (plan.unreadable(id, n)) {
            request.reject?.({
              row: n,
              code: 'WORLD_UNREADABLE',
              reason: 'unreadable',
              position: { file: id, row: n },
            })
          } else rows.push({ part: id, n, key: keyOf(n) })
        }
        const cursor = random.happens(0.7) ? n : undefined
        if (rows.length > 0 || cursor !== undefined)
          yield inSomeForm(rows, cursor, plan.text && request.form === 'any')
      }
    },
  }
}

function inSomeForm(rows: readonly Item[], cursor: number | undefined, text: boolean): Batch<Item> {
  if (!text) return rowsBatch(rows, cursor)
  const starts: number[] = []
  const ends: number[] = []
  let joined = ''
  for (const row of rows) {
    starts.push(joined.length)
    joined += JSON.stringify(row)
    ends.push(joined.length)
  }
  return textBatch({ bytes: Buffer.from(joined), starts, ends, count: rows.length }, cursor)
}

export interface Faults {
  /** Share of writes that are cut off before or after they took effect. */
  readonly cut: number
  /** Share of rows refused for now. */
  readonly busy: number
  /** Rows refused for good. */
  readonly poison: (item: Item) => boolean
  /** Rows that make the receiver refuse the whole body. */
  readonly toxic: (item: Item) => boolean
  /** More rows than this are refused as too large. */
  readonly most: number
  /** Share of writes that fail for good, and with them the run. */
  readonly fatal: number
}

/** Stores rows by id; what it stored survives every crash. */
export class Receiver {
  readonly stored = new Map<string, Item>()
  /** Bodies that were filled again while somebody could still read them. */
  refilled = 0
  private readonly random: Chance
  faults: Faults

  constructor(random: Chance, faults: Faults) {
    this.random = random
    this.faults = faults
  }

  private async write(
    entries: readonly (readonly [string, Item])[],
    life: Life,
    signal: AbortSignal | undefined,
  ): Promise<WriteResult> {
    const { random, faults } = this
    await turns(random.whole(0, 3))
    await life.pass()
    if (signal?.aborted) throw signal.reason
    if (random.happens(faults.fatal)) throw new EtlError('WORLD_FATAL', 'gone for good')
    if (random.happens(faults.cut)) throw new EtlError('WORLD_CUT', 'cut before', { verdict: 'again' })
    if (entries.length > faults.most) throw new EtlError('WORLD_TOO_LARGE', 'too large', { verdict: 'split' })
    if (entries.some(([, item]) => faults.toxic(item)))
      throw new EtlError('WORLD_TOXIC', 'refused', { verdict: 'split' })
    const failures = []
    for (const [index, [id, item]] of entries.entries()) {
      if (faults.poison(item))
        failures.push({ index, verdict: 'never' as const, code: 'WORLD_POISON', reason: 'poison' })
      else if (random.happens(faults.busy))
        failures.push({ index, verdict: 'again' as const, code: 'WORLD_BUSY', reason: 'busy' })
      else this.stored.set(id, item)
    }
    if (random.happens(faults.cut)) throw new EtlError('WORLD_CUT', 'reply lost', { verdict: 'again' })
    await turns(random.whole(0, 2))
    await life.pass()
    return { failures }
  }

  /** A sink as Infino's upload is one: bodies, ids, no flush. */
  bodySink(life: Life, limits: Sink['limits'], key: boolean, any: boolean): BodySink<Item> {
    let start = 0
    return {
      name: 'receiver',
      limits,
      wants: any ? 'any' : 'rows',
      delivery: 'once',
      encoder: (lane): Encoder<Item> => ({
        rowStart: () => start,
        put: (batch, index, ordinal, into, at) => {
          const id = key ? (batch.rows[index] as Item).key : `${lane.runId}.${lane.partition}.${ordinal}`
          const head = Buffer.from(`${id} `)
          if (at + head.length > into.length) return -1
          head.copy(into, at)
          start = at + head.length
          const end = putRow(batch, index, into, at + head.length)
          if (end < 0 || end + 1 > into.length) return -1
          into[end] = 10
          return end + 1
        },
        ...(key ? { key: (batch: Batch<Item>, index: number) => (batch.rows[index] as Item).key } : {}),
      }),
      write: (frame: BodyFrame, context) => {
        const lines = Buffer.from(frame.body).toString().trimEnd().split('\n')
        if (lines.length !== frame.count) throw new Error('a body with another number of lines')
        const entries = lines.map((line): [string, Item] => {
          const space = line.indexOf(' ')
          return [line.slice(0, space), JSON.parse(line.slice(space + 1)) as Item]
        })
        const before = Buffer.from(frame.body)
        const written = this.write(entries, life, context.signal)
        // A socket may still be sending a body after the request has failed.
        const late = () =>
          turns(this.random.whole(1, 6)).then(() => before.equals(frame.body) || this.refilled++)
        written.then(
          () => before.equals(frame.body) || this.refilled++,
          () => late(),
        )
        return written
      },
    }
  }

  rowSink(life: Life, runId: string, limits: Sink['limits']): RowSink<Item> {
    return {
      name: 'receiver',
      limits,
      delivery: 'once',
      write: (frame: RowFrame<Item>, context) =>
        this.write(
          frame.rows.map((row, index): [string, Item] => [
            `${runId}.${frame.partition}.${frame.ordinalAt(index)}`,
            row,
          ]),
          life,
          context.signal,
        ),
    }
  }
}

/** A file: what was appended stays, whole or torn, until `open` cuts it back. */
export class FileWorld {
  lines: Item[] = []
  private readonly random: Chance

  constructor(random: Chance) {
    this.random = random
  }

  sink(life: Life, limits: Sink['limits'], fatal: number): RowSink<Item> {
    return {
      name: 'file',
      limits: { ...limits, concurrency: 1 },
      open: async ({ saved }) => {
        this.lines.length = saved === undefined ? 0 : (saved as { length: number }).length
      },
      write: async (frame) => {
        await turns(this.random.whole(0, 2))
        for (const row of frame.rows) {
          await life.pass()
          if (this.random.happens(fatal)) throw new EtlError('WORLD_FATAL', 'no space')
          this.lines.push(row)
          if (this.random.happens(0.05)) await turns(1)
        }
        await life.pass()
        return undefined
      },
      flush: async (): Promise<Json> => {
        await turns(this.random.whole(0, 2))
        await life.pass()
        return { length: this.lines.length }
      },
    }
  }
}

/** A store whose saves may be lost with the process, never torn. */
export function worldStore(memory: { text: string | undefined }, life: Life): CheckpointStore {
  return {
    name: 'world',
    load: async () => (memory.text === undefined ? undefined : JSON.parse(memory.text)),
    save: async (checkpoint) => {
      const text = JSON.stringify(checkpoint)
      await turns(1)
      await life.pass()
      memory.text = text
      await life.pass()
    },
  }
}
