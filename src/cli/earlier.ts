/**
 * Remembers which files were loaded where, to tell whoever is about to load one again. It knows the loads that
 * were started from the same directory; a note, never a reason to refuse.
 */
import { randomUUID } from 'node:crypto'
import { appendFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const FILE = 'loads.jsonl'
const KEEP_BYTES = 1024 * 1024
const KEEP_LINES = 1000

export interface LoadRecord {
  readonly run: string
  readonly at: string
  readonly dataset: string
  /** The address, or `local`: the address of a local Infino is another one each time. */
  readonly place: string
  readonly files: readonly FileFacts[]
  /** Rows written; absent while the load runs, and where it was killed. */
  readonly written?: number
  readonly complete?: boolean
}

interface FileFacts {
  readonly path: string
  readonly size: number
  readonly mtimeMs: number
}

/** The files as they are now; those that cannot be looked at are left out. */
export function factsOf(paths: readonly string[]): FileFacts[] {
  const facts: FileFacts[] = []
  for (const path of paths) {
    try {
      const { size, mtimeMs } = statSync(path)
      facts.push({ path: resolve(path), size, mtimeMs })
    } catch {
      // The source will say so.
    }
  }
  return facts
}

/** A record of a load that begins now. */
export function newRecord(dataset: string, place: string, files: readonly FileFacts[]): LoadRecord {
  return { run: randomUUID(), at: new Date().toISOString(), dataset, place, files }
}

/** The latest load of one of these files into this dataset, in words. */
export function earlierLoad(dir: string, mine: LoadRecord): string | undefined {
  const latest = new Map<string, LoadRecord>()
  for (const record of read(dir)) latest.set(record.run, record)
  for (const record of [...latest.values()].reverse()) {
    if (record.dataset !== mine.dataset || record.place !== mine.place || record.written === 0) continue
    for (const file of mine.files) {
      const same = record.files.find(({ path }) => path === file.path)
      if (same === undefined) continue
      const changed = same.size !== file.size || same.mtimeMs !== file.mtimeMs
      const rows =
        record.written === undefined
          ? 'its end is not known'
          : `${record.written.toLocaleString('en-US')} rows written${record.complete === true ? '' : ', not to its end'}`
      const when = `${record.at.slice(0, 16).replace('T', ' ')} UTC`
      return `${file.path} was loaded into ${mine.dataset} before (${when}, ${rows}${changed ? '; the file has changed since' : ''})`
    }
  }
  return undefined
}

/** Adds or updates a record. What cannot be remembered is no error. */
export function remember(dir: string, record: LoadRecord): void {
  try {
    mkdirSync(dir, { recursive: true })
    const path = join(dir, FILE)
    appendFileSync(path, `${JSON.stringify(record)}\n`, { mode: 0o600 })
    if (statSync(path).size > KEEP_BYTES) {
      const lines = readFileSync(path, 'utf8').trimEnd().split('\n').slice(-KEEP_LINES)
      let kept = `${lines.join('\n')}\n`
      while (kept.length > KEEP_BYTES / 2 && lines.length > 1) {
        lines.splice(0, Math.ceil(lines.length / 2))
        kept = `${lines.join('\n')}\n`
      }
      writeFileSync(path, kept, { mode: 0o600 })
    }
  } catch {
    // A read-only directory: there will be no note next time.
  }
}

function read(dir: string): LoadRecord[] {
  try {
    return readFileSync(join(dir, FILE), 'utf8').split('\n').flatMap(parsed)
  } catch {
    return []
  }
}

function parsed(line: string): LoadRecord[] {
  try {
    const record = JSON.parse(line) as LoadRecord
    return typeof record.run === 'string' && typeof record.at === 'string' && Array.isArray(record.files)
      ? [record]
      : []
  } catch {
    return []
  }
}
