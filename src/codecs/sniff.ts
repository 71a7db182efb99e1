/**
 * Guesses from the beginning of an input: format, delimiter, line ends, header. A source keeps what was found in
 * its cursors, so that a resumed read guesses nothing anew.
 */
import type { CsvDialect } from './csv-records.js'
import { kindOfCell, TEXT } from './csv-types.js'

export type TextFormat = 'csv' | 'json' | 'jsonl'

const EXTENSIONS: Record<string, TextFormat> = {
  csv: 'csv',
  tsv: 'csv',
  tab: 'csv',
  json: 'json',
  jsonl: 'jsonl',
  ndjson: 'jsonl',
}

/** The format that a file's name tells, before or after the ending of a compression. */
export function formatOfName(name: string): TextFormat | undefined {
  const match = /\.([a-z]+)(?:\.(?:gz|br))?$/i.exec(name)
  const extension = match?.[1]?.toLowerCase() ?? ''
  return Object.hasOwn(EXTENSIONS, extension) ? EXTENSIONS[extension] : undefined
}

/** The format that the text tells. */
export function formatOfText(head: Uint8Array): TextFormat {
  const text = Buffer.from(head.buffer, head.byteOffset, head.byteLength).toString('utf8').trimStart()
  if (text.startsWith('[')) return 'json'
  if (!text.startsWith('{')) return 'csv'
  const line = text.split('\n', 1)[0] as string
  try {
    JSON.parse(line)
    return 'jsonl'
  } catch {
    return line.trimEnd().length === text.trimEnd().length && line.length > 1000 ? 'jsonl' : 'json'
  }
}

export const DELIMITERS = [',', '\t', ';', '|'] as const

/** The delimiter that cuts most records of the sample into the same number of cells; a comma where none does. */
export function detectDelimiter(head: Uint8Array, name: string, quote: string | null): string {
  if (/\.(?:tsv|tab)(?:\.(?:gz|br))?$/i.test(name)) return '\t'
  let best = ','
  let bestScore = 0
  for (const delimiter of DELIMITERS) {
    const counts = cellCounts(head, delimiter, quote)
    const header = counts[0] ?? 1
    if (header < 2) continue
    const same = counts.filter((count) => count === header).length / counts.length
    const score = same * 1000 + Math.min(header, 500)
    if (score > bestScore) {
      best = delimiter
      bestScore = score
    }
  }
  return best
}

const SAMPLE_RECORDS = 200

function cellCounts(head: Uint8Array, delimiter: string, quote: string | null): number[] {
  const cut = delimiter.charCodeAt(0)
  const mark = quote === null || quote.length !== 1 ? -1 : quote.charCodeAt(0)
  const counts: number[] = []
  let cells = 1
  let length = 0
  let inside = false
  let cellStart = true
  for (let at = 0; at < head.length && counts.length < SAMPLE_RECORDS; at++) {
    const byte = head[at]
    if (byte === mark && (inside || cellStart)) inside = !inside
    cellStart = false
    if (inside) continue
    if (byte === cut) {
      cells++
      cellStart = true
    } else if (byte === 10 || byte === 13) {
      if (length > 0) counts.push(cells)
      cells = 1
      length = -1
      cellStart = true
    }
    length++
  }
  // What follows the last line break may be cut anywhere; it counts only where there is nothing else.
  if (counts.length === 0 && length > 0) counts.push(cells)
  return counts
}

/** Old texts end their lines in CR alone. `whole`: nothing follows the head. */
export function detectNewline(head: Uint8Array, whole: boolean): CsvDialect['newline'] {
  if (head.includes(10) || !head.includes(13)) return '\n'
  return whole || head.indexOf(13) < head.length - 1 ? '\r' : '\n'
}

/** Whether the first record names columns: all its cells are distinct words, and no value has a type. */
export function looksLikeHeader(first: readonly string[]): boolean {
  return (
    new Set(first).size === first.length && first.every((cell) => cell !== '' && kindOfCell(cell) === TEXT)
  )
}
