/** Rows on standard output: a table on a terminal, JSON lines elsewhere. */
import { once } from 'node:events'
import type { Row } from '../contracts.js'
import { stringifyJson } from '../json.js'
import { oneLine } from './tell.js'

const MAX_CELL = 60
const LINES_AT_ONCE = 500

export async function writeRows(
  rows: readonly Row[],
  columns: readonly string[],
  json: boolean,
): Promise<void> {
  const lines = json ? rows.map((row) => stringifyJson(row)) : tableLines(rows, columns)
  for (let at = 0; at < lines.length; at += LINES_AT_ONCE) {
    const text = `${lines.slice(at, at + LINES_AT_ONCE).join('\n')}\n`
    if (!process.stdout.write(text)) await once(process.stdout, 'drain')
  }
}

/** Long cells are cut, numbers stand to the right. */
export function tableLines(rows: readonly Row[], columns: readonly string[]): string[] {
  const cells = rows.map((row) => columns.map((column) => cellText(row[column])))
  const heads = columns.map((column) => shortened(oneLine(column)))
  const widths = heads.map((head, c) =>
    cells.reduce((width, row) => Math.max(width, row[c]!.length), head.length),
  )
  const right = columns.map((column) =>
    rows.every((row) => row[column] == null || ['number', 'bigint'].includes(typeof row[column])),
  )
  const line = (texts: readonly string[]) =>
    texts
      .map((text, c) => (right[c] ? text.padStart(widths[c]!) : text.padEnd(widths[c]!)))
      .join('  ')
      .trimEnd()
  const count = `(${rows.length.toLocaleString('en-US')} ${rows.length === 1 ? 'row' : 'rows'})`
  return [line(heads), widths.map((width) => '─'.repeat(width)).join('  '), ...cells.map(line), count]
}

function cellText(value: unknown): string {
  if (value === null || value === undefined) return ''
  return shortened(oneLine(typeof value === 'string' ? value : stringifyJson(value)))
}

function shortened(text: string): string {
  return text.length > MAX_CELL ? `${text.slice(0, MAX_CELL - 1)}…` : text
}
