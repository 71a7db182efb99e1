import { fork } from 'node:child_process'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Checkpoint, fileCheckpoint, newRunId } from '../../src/checkpoint.js'
import { isEtlError } from '../../src/errors.js'
import { from } from '../../src/pipeline.js'
import { reportOf } from '../../src/report.js'
import { map } from '../../src/transforms/map.js'

const saved: Checkpoint = {
  version: 1,
  runId: 'r1',
  source: 'numbers',
  stages: [],
  sink: 'collect',
  partitions: [],
  lanes: {
    '0': { cursor: { at: 3 }, at: 3, counts: [3, 0], acked: 4, written: 4, rejected: 0, done: false },
  },
  finished: false,
}

const numbers = (rows: number) => ({
  name: 'numbers',
  async *read() {
    for (let n = 0; n < rows; n += 2) yield { rows: [{ n }, { n: n + 1 }], cursor: n + 2 }
  },
})

const collect = () => {
  const rows: unknown[] = []
  const write = async (frame: { rows: readonly unknown[] }) => {
    rows.push(...frame.rows)
    return undefined
  }
  return { rows, sink: { name: 'collect', write } }
}

let folder: string
let path: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'etl-checkpoint-'))
  path = join(folder, 'load.checkpoint')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

describe('a checkpoint in a file', () => {
  it('comes back as it was saved, and only its owner may read it', async () => {
    const store = fileCheckpoint(path)
    expect(await store.load()).toBeUndefined()
    await store.save(saved)
    expect(await fileCheckpoint(path).load()).toEqual(saved)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  it('is refused when damaged: emptied, cut anywhere, or of another shape', async () => {
    const text = JSON.stringify(saved)
    const damaged = [
      ...Array.from({ length: 20 }, (_, i) => text.slice(0, i * 9)),
      '[]',
      text.replace('"acked":4', '"acked":-4'),
    ]
    for (const content of damaged) {
      await writeFile(path, content)
      await expect(fileCheckpoint(path).load(), content).rejects.toMatchObject({
        code: 'ETL_CHECKPOINT_UNREADABLE',
      })
    }
  })

  it('belongs to one process at a time, and outlives a process that died with the lock', async () => {
    const store = fileCheckpoint(path)
    await store.lock?.()
    await expect(fileCheckpoint(path).lock?.()).rejects.toMatchObject({ code: 'ETL_CHECKPOINT_LOCKED' })
    await store.unlock?.()
    const child = fork('-e', [''], { execArgv: [], stdio: 'ignore' })
    await new Promise((resolve) => child.once('exit', resolve))
    await writeFile(`${path}.lock`, String(child.pid))
    await store.lock?.()
    expect(await readFile(`${path}.lock`, 'utf8')).toBe(String(process.pid))
  })

  it('says which folder cannot be written', async () => {
    const failing = fileCheckpoint(join(folder, 'missing', 'c')).save(saved)
    await expect(failing).rejects.toMatchObject({ code: 'ETL_CHECKPOINT_UNWRITABLE' })
  })
})

describe('a run with a checkpoint', () => {
  it('reads nothing again once it has finished, and reports the whole ledger', async () => {
    const first = await from(numbers(10)).to(collect().sink).run({ checkpoint: path })
    const again = collect()
    const report = await from(numbers(10)).to(again.sink).run({ checkpoint: path })
    expect(again.rows).toEqual([])
    expect(report.ledger).toEqual(first.ledger)
    expect([report.runId, report.resumed, first.resumed]).toEqual([first.runId, true, false])
  })

  it('refuses a checkpoint of another source, other transforms or another sink', async () => {
    await from(numbers(4)).to(collect().sink).run({ checkpoint: path })
    const other = { ...numbers(4), name: 'others' }
    const runs = [
      from(other).to(collect().sink),
      from(numbers(4))
        .through(map((row) => row))
        .to(collect().sink),
      from(numbers(4)).to({ ...collect().sink, name: 'elsewhere' }),
    ]
    for (const run of runs) {
      await expect(run.run({ checkpoint: path })).rejects.toMatchObject({ code: 'ETL_CHECKPOINT_MISMATCH' })
    }
  })

  it('is refused before it starts when the sink cannot resume', async () => {
    const { sink, rows } = collect()
    const run = from(numbers(4))
      .to({ ...sink, notResumable: 'it only collects' })
      .run({ checkpoint: path })
    await expect(run).rejects.toMatchObject({ code: 'ETL_SINK_NOT_RESUMABLE' })
    expect(rows).toEqual([])
  })

  it('leaves no lock behind, however it ends', async () => {
    const failing = { name: 'collect', write: () => Promise.reject(new Error('no')) }
    const error = await from(numbers(4))
      .to(failing)
      .run({ checkpoint: path })
      .catch((thrown: unknown) => thrown)
    expect(isEtlError(error) && error.code).toBe('ETL_SINK_WRITE')
    expect(reportOf(error)?.status).toBe('failed')
    await expect(stat(`${path}.lock`)).rejects.toThrow()
  })
})

describe('newRunId', () => {
  it('has the same short length and safe characters always', () => {
    for (let i = 0; i < 200; i++) expect(newRunId()).toMatch(/^[0-9a-z]{10}$/)
  })
})
