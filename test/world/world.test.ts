import { describe, expect, it } from 'vitest'
import type { RejectedRow, RowSink, Sink, Transform } from '../../src/contracts.js'
import { isEtlError } from '../../src/errors.js'
import { from } from '../../src/pipeline.js'
import { type DeadLetter, deadLetter } from '../../src/rejections.js'
import { type RunReport, reportOf } from '../../src/report.js'
import type { RunOptions } from '../../src/run-options.js'
import { filter } from '../../src/transforms/filter.js'
import { flatMap } from '../../src/transforms/flat-map.js'
import { map } from '../../src/transforms/map.js'
import { type Chance, chance, turns, WorldClock } from './clock.js'
import {
  type Faults,
  FileWorld,
  type Item,
  Life,
  Receiver,
  type WorldPlan,
  worldSource,
  worldStore,
} from './world.js'

const SEEDS = Number(process.env.WORLD_SEEDS ?? 600)
const FIRST = Number(process.env.WORLD_FIRST ?? 1)

/** A verb with what a plain loop says it must do. */
interface Verb {
  readonly transform: Transform<Item, Item>
  readonly plain: (items: Item[]) => { out: Item[]; rejected: number }
}

const verbs: Record<string, () => Verb> = {
  map: () => ({
    transform: map((item: Item) => {
      if (item.n % 23 === 3) throw new Error('cannot')
      return { ...item, copy: (item.copy ?? 0) * 2 }
    }),
    plain: (items) => {
      const good = items.filter((item) => item.n % 23 !== 3)
      return {
        out: good.map((item) => ({ ...item, copy: (item.copy ?? 0) * 2 })),
        rejected: items.length - good.length,
      }
    },
  }),
  filter: () => ({
    transform: filter((item: Item) => item.n % 3 !== 1),
    plain: (items) => ({ out: items.filter((item) => item.n % 3 !== 1), rejected: 0 }),
  }),
  flatMap: () => ({
    transform: flatMap((item: Item) => Array.from({ length: item.n % 4 }, (_, copy) => ({ ...item, copy }))),
    plain: (items) => ({
      out: items.flatMap((item) => Array.from({ length: item.n % 4 }, (_, copy) => ({ ...item, copy }))),
      rejected: 0,
    }),
  }),
  pairs: () => ({
    transform: async function* pairs(input) {
      let held: Item[] = []
      for await (const batch of input) {
        held.push(...batch.rows)
        const whole = held.length - (held.length % 2)
        if (whole > 0) yield { rows: held.slice(0, whole) }
        held = held.slice(whole)
      }
      if (held.length > 0) yield { rows: held }
    },
    plain: (items) => ({ out: items, rejected: 0 }),
  }),
}

interface Outcome {
  readonly report: RunReport
  readonly lives: number
}

/** Runs until it completes, with crashes at random moments, each followed by a run with the same checkpoint. */
async function live(
  random: Chance,
  crashes: number,
  start: (
    life: Life,
    memory: { text: string | undefined },
  ) => { run: (options: RunOptions) => Promise<RunReport>; options: RunOptions },
  onFailure: (error: unknown) => void,
): Promise<Outcome> {
  const memory: { text: string | undefined } = { text: undefined }
  let left = crashes
  for (let lives = 1; ; lives++) {
    if (lives > 200) throw new Error('no end in sight')
    const life = new Life()
    const { run, options } = start(life, memory)
    const clock = new WorldClock()
    const running = run({
      ...options,
      checkpoint: worldStore(memory, life),
      checkpointEveryMs: random.pick([0, 300, 5000]),
      clock,
      random: random.next,
      retry: { attempts: 12, baseMs: 100 },
      runId: memory.text === undefined ? 'world' : undefined,
      parallel: random.whole(1, 3),
      graceMs: 2000,
    }).then(
      (report) => ({ report }),
      (error: unknown) => ({ error }),
    )
    const crash =
      left > 0 ? turns(random.whole(0, 60)).then(() => 'crash' as const) : new Promise<never>(() => {})
    const ended = await Promise.race([running, crash])
    if (ended === 'crash') {
      life.kill()
      left--
      await turns(2)
      continue
    }
    if ('report' in ended) return { report: ended.report, lives }
    onFailure(ended.error)
  }
}

function plan(random: Chance): WorldPlan {
  const partitions = Array.from({ length: random.whole(1, 4) }, (_, i) => ({
    id: `p${i}`,
    rows: random.whole(0, 60),
  }))
  const unreadable = random.happens(0.5) ? random.whole(2, 30) : 1000
  return {
    partitions,
    unreadable: (_, n) => n % unreadable === unreadable - 1,
    declares: random.happens(0.5),
    text: random.happens(0.5),
  }
}

function faults(random: Chance): Faults {
  const poison = random.happens(0.4) ? random.whole(5, 40) : 1000
  const toxic = random.happens(0.3) ? random.whole(5, 40) : 1000
  return {
    cut: random.pick([0, 0.05, 0.2]),
    busy: random.pick([0, 0.05, 0.3]),
    poison: (item) => item.n % poison === poison - 2,
    toxic: (item) => item.n % toxic === toxic - 3,
    most: random.pick([3, 8, 1000]),
    fatal: random.pick([0, 0, 0.02]),
  }
}

const limitsOf = (random: Chance): Sink['limits'] => ({
  rows: random.pick([1, 3, 10, 50]),
  bytes: random.pick([60, 200, 2000]),
  concurrency: random.whole(1, 4),
})

/** What plain loops make of the plan, partition by partition; a chain with memory sees them as one. */
function oracle(world: WorldPlan, chain: readonly Verb[], memory: boolean) {
  const parts = world.partitions.map(({ id, rows }) => {
    const items = Array.from({ length: rows }, (_, n): Item => ({ part: id, n, key: `k${n % 7}` }))
    const readable = items.filter((item) => !world.unreadable(id, item.n))
    return { id, items: readable, unreadable: rows - readable.length }
  })
  const lanes = memory ? [{ id: 'all', items: parts.flatMap((part) => part.items) }] : parts
  let rejected = parts.reduce((sum, part) => sum + part.unreadable, 0)
  const out = lanes.map(({ id, items }) => {
    let now = items
    for (const verb of chain) {
      const step = verb.plain(now)
      rejected += step.rejected
      now = step.out
    }
    return { id, items: now }
  })
  return { out, rejected, read: world.partitions.reduce((sum, part) => sum + part.rows, 0) }
}

function laneId(world: WorldPlan, id: string, memory: boolean): string {
  return memory ? 'all' : world.partitions.length === 1 ? '0' : id
}

describe('a run that is killed again and again', () => {
  it('leaves every row in effect exactly once behind a receiver with ids', async () => {
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      const random = chance(seed)
      const world = plan(random)
      const names = Array.from({ length: random.whole(0, 3) }, () => random.pick(Object.keys(verbs)))
      const chain = names.map((name) => (verbs[name] as () => Verb)())
      const memory = names.includes('pairs')
      const receiver = new Receiver(random, faults(random))
      const limits = limitsOf(random)
      const rowWise = random.happens(0.3)
      const letters = new Set<string>()
      const letterSink: RowSink<DeadLetter> = {
        name: 'letters',
        write: async (frame) => {
          await turns(random.whole(0, 1))
          for (const row of frame.rows) letters.add(JSON.stringify([row.partition, row.ordinal, row.row]))
          return undefined
        },
      }
      const dead = random.happens(0.5)
      const { report } = await live(
        random,
        random.whole(0, 4),
        (life) => {
          let pipeline = from(worldSource(world, random, life))
          for (const verb of chain) pipeline = pipeline.through(verb.transform)
          const sink = rowWise
            ? receiver.rowSink(life, 'world', limits)
            : receiver.bodySink(life, limits, false, random.happens(0.5))
          return {
            run: (options) => pipeline.to(sink).run(options),
            options: { onError: dead ? deadLetter(letterSink) : 'skip' },
          }
        },
        (error) => {
          if (!isEtlError(error) || !['WORLD_FATAL', 'ETL_RETRIES_EXHAUSTED'].includes(error.code))
            throw error
          const ledger = reportOf(error)?.ledger
          expect(ledger?.balanced, `seed ${seed}: ${ledger?.problems.join()}`).toBe(true)
        },
      )
      const truth = oracle(world, chain, memory)
      const expected = new Map<string, Item>()
      let refused = 0
      for (const { id, items } of truth.out) {
        for (const [ordinal, item] of items.entries()) {
          if (receiver.faults.poison(item) || receiver.faults.toxic(item)) refused++
          else expected.set(`world.${laneId(world, id, memory)}.${ordinal}`, item)
        }
      }
      const context = `seed ${seed}, ${names.join(' > ')}`
      expect(sorted(receiver.stored), context).toEqual(sorted(expected))
      expect(report.ledger.balanced, context).toBe(true)
      expect(
        [
          report.ledger.source.read,
          report.ledger.sink.written,
          report.ledger.rejected,
          report.ledger.sink.unresolved,
        ],
        context,
      ).toEqual([truth.read, expected.size, truth.rejected + refused, 0])
      expect(receiver.refilled, context).toBe(0)
      if (dead) expect(letters.size, context).toBeGreaterThanOrEqual(refused)
    }
  }, 240_000)

  it('leaves every line in the file exactly once and in order', async () => {
    for (let seed = FIRST; seed < FIRST + SEEDS / 3; seed++) {
      const random = chance(seed + 1_000_000)
      const world = { ...plan(random), unreadable: () => false }
      const file = new FileWorld(random)
      const limits = limitsOf(random)
      const fatal = random.pick([0, 0.01])
      const { report } = await live(
        random,
        random.whole(0, 5),
        (life) => {
          const sink = file.sink(life, limits, fatal)
          return {
            run: (options) =>
              from(worldSource(world, random, life))
                .to(sink)
                .run(options),
            options: {},
          }
        },
        (error) => {
          if (!isEtlError(error) || error.code !== 'WORLD_FATAL') throw error
        },
      )
      for (const { id, rows } of world.partitions) {
        const lines = file.lines.filter((line) => line.part === id).map((line) => line.n)
        expect(lines, `seed ${seed}`).toEqual(Array.from({ length: rows }, (_, n) => n))
      }
      expect(report.ledger.sink.written, `seed ${seed}`).toBe(file.lines.length)
    }
  }, 120_000)

  it("keeps the newest version of every key of the user's", async () => {
    for (let seed = FIRST; seed < FIRST + SEEDS / 3; seed++) {
      const random = chance(seed + 2_000_000)
      const world = {
        ...plan(random),
        partitions: [{ id: 'p0', rows: random.whole(0, 80) }],
        unreadable: () => false,
      }
      const receiver = new Receiver(random, { ...faults(random), poison: () => false, toxic: () => false })
      const limits = limitsOf(random)
      await live(
        random,
        random.whole(0, 4),
        (life) => {
          const sink = receiver.bodySink(life, limits, true, false)
          return {
            run: (options) =>
              from(worldSource(world, random, life))
                .to(sink)
                .run(options),
            options: {},
          }
        },
        (error) => {
          if (!isEtlError(error) || !['WORLD_FATAL', 'ETL_RETRIES_EXHAUSTED'].includes(error.code))
            throw error
        },
      )
      const newest = new Map<string, number>()
      for (let n = 0; n < (world.partitions[0]?.rows ?? 0); n++) newest.set(`k${n % 7}`, n)
      const stored = new Map([...receiver.stored].map(([key, item]) => [key, item.n]))
      expect(sorted(stored), `seed ${seed}`).toEqual(sorted(newest))
    }
  }, 120_000)

  it('fails on the first refused row by default, and goes on from before it once the cause is mended', async () => {
    for (let seed = FIRST; seed < FIRST + SEEDS / 3; seed++) {
      const random = chance(seed + 3_000_000)
      const world = { ...plan(random), unreadable: () => false }
      const receiver = new Receiver(random, { ...faults(random), toxic: () => false, fatal: 0 })
      const { poison } = receiver.faults
      const limits = limitsOf(random)
      let failed: RejectedRow[] = []
      const { report } = await live(
        random,
        random.whole(0, 2),
        (life) => {
          const sink = receiver.bodySink(life, limits, false, true)
          return {
            run: (options) =>
              from(worldSource(world, random, life))
                .to(sink)
                .run(options),
            options: {},
          }
        },
        (error) => {
          if (isEtlError(error) && error.code === 'ETL_RETRIES_EXHAUSTED') return
          if (!isEtlError(error) || error.code !== 'WORLD_POISON') throw error
          const report = reportOf(error) as RunReport
          const { written, unresolved, rejected } = report.ledger.sink
          expect(rejected, `seed ${seed}`).toBeGreaterThan(0)
          expect(report.ledger.balanced, `seed ${seed}: ${report.ledger.problems.join()}`).toBe(true)
          expect(written, `seed ${seed}`).toBeLessThanOrEqual(receiver.stored.size)
          // What a killed life stored beyond its checkpoint is not known to the next one.
          if (!report.resumed) {
            expect(receiver.stored.size, `seed ${seed}`).toBeLessThanOrEqual(written + unresolved)
          }
          failed = [...report.rejectedRows]
          receiver.faults = { ...receiver.faults, poison: () => false }
        },
      )
      const rows = world.partitions.reduce((sum, part) => sum + part.rows, 0)
      expect(receiver.stored.size, `seed ${seed}`).toBe(rows)
      expect(report.ledger.sink.written, `seed ${seed}`).toBe(rows)
      for (const row of failed) expect(poison(row.row as Item), `seed ${seed}`).toBe(true)
    }
  }, 120_000)

  it('reads exactly the rows of the limit, over all its lives', async () => {
    for (let seed = FIRST; seed < FIRST + SEEDS / 5; seed++) {
      const random = chance(seed + 4_000_000)
      const world = { ...plan(random), unreadable: () => false, declares: true }
      const total = world.partitions.reduce((sum, part) => sum + part.rows, 0)
      const limit = random.whole(0, total + 5)
      const receiver = new Receiver(random, {
        ...faults(random),
        poison: () => false,
        toxic: () => false,
        fatal: 0,
      })
      const limits = limitsOf(random)
      const { report } = await live(
        random,
        random.whole(0, 3),
        (life) => {
          const sink = receiver.bodySink(life, limits, false, true)
          return {
            run: (options) =>
              from(worldSource(world, random, life))
                .to(sink)
                .run(options),
            options: { limit },
          }
        },
        (error) => {
          if (!isEtlError(error) || error.code !== 'ETL_RETRIES_EXHAUSTED') throw error
        },
      )
      expect(receiver.stored.size, `seed ${seed}`).toBe(Math.min(limit, total))
      expect(report.ledger.source.out, `seed ${seed}`).toBe(Math.min(limit, total))
    }
  }, 120_000)
})

function sorted<T>(entries: Map<string, T>): [string, T][] {
  return [...entries].sort(([a], [b]) => (a < b ? -1 : 1))
}
