/** A folder for the files of one test file, removed after it. */
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

export interface WorkFolder {
  readonly path: (name: string) => string
  readonly text: (name: string) => string
  readonly names: () => string[]
  /** Files of this folder that the process has open now; always 0 where the system does not tell. */
  readonly openFiles: () => number
}

export function workFolder(): WorkFolder {
  const folder = mkdtempSync(join(tmpdir(), 'etl-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return {
    path: (name) => join(folder, name),
    text: (name) => readFileSync(join(folder, name), 'utf8'),
    names: () => readdirSync(folder).sort(),
    openFiles: () => openPaths().filter((path) => path.startsWith(folder)).length,
  }
}

function openPaths(): string[] {
  try {
    return readdirSync('/proc/self/fd').flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/self/fd/${fd}`)]
      } catch {
        return []
      }
    })
  } catch {
    return []
  }
}
