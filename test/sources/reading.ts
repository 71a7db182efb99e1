/** Reads sources in tests. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { originAt, rowAt, size } from '../../src/batch.js'
import type { Batch, Cursor, Position, ReadRequest, RejectedRow, Row, Source } from '../../src/contracts.js'
import type { EtlError } from '../../src/errors.js'

export interface Reading {
  readonly rows: Row[]
  readonly positions: (Position | undefined)[]
  readonly rejected: RejectedRow[]
  readonly batches: Batch[]
  /** Each cursor with the rows and rejections before it. */
  readonly cursors: { cursor: Cursor; rows: number; rejected: number }[]
  readonly expected: number | undefined
  readonly progress: [number, number | undefined][]
  readonly error: EtlError | undefined
}

/** Everything a source says; rejected rows are collected unless `strict`. */
export async function readAll(
  source: Source,
  request: ReadRequest & { strict?: boolean } = {},
): Promise<Reading> {
  const out = {
    rows: [] as Row[],
    positions: [] as (Position | undefined)[],
    rejected: [] as RejectedRow[],
    batches: [] as Batch[],
    cursors: [] as Reading['cursors'],
    expected: undefined as number | undefined,
    progress: [] as [number, number | undefined][],
    error: undefined as EtlError | undefined,
  }
  const { strict, ...asked } = request
  try {
    const batches = source.read({
      ...asked,
      ...(strict ? {} : { reject: (row) => out.rejected.push(row) }),
      expect: (rows) => {
        out.expected = rows
      },
      progress: (bytes, of) => out.progress.push([bytes, of]),
    })
    for await (const batch of batches) {
      out.batches.push(batch)
      for (let i = 0; i < size(batch); i++) {
        out.rows.push(rowAt(batch, i))
        out.positions.push(originAt(batch, i))
      }
      if (batch.cursor !== undefined) {
        // A checkpoint is JSON: what does not survive it is no cursor.
        const cursor = JSON.parse(JSON.stringify(batch.cursor)) as Cursor
        out.cursors.push({ cursor, rows: out.rows.length, rejected: out.rejected.length })
      }
    }
  } catch (error) {
    out.error = error as EtlError
  }
  return out
}

/** A folder that goes away after the tests of this file. */
export function workFolder(): (name: string, content: string | Uint8Array) => string {
  const folder = mkdtempSync(join(tmpdir(), 'files-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return (name, content) => {
    const path = join(folder, name)
    writeFileSync(path, content)
    return path
  }
}

export async function* chunked(bytes: Uint8Array, chunkBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes)
}
