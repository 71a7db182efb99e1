// Writes generated rows to files under a temporary folder, and tells the checksums that contenders must reach.
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { Checksum, canonical, canonicalText } from './checksum.mjs'
import { mapOrder, rowsOf, SHAPES } from './shapes.mjs'

const FORMATS = {
  csv: { extension: 'csv', head: (columns) => `${columns.join(',')}\n`, line: csvLine },
  jsonl: { extension: 'jsonl', line: (row) => `${JSON.stringify(row)}\n` },
  json: {
    extension: 'json',
    head: () => '[\n',
    line: (row, i) => `${i === 0 ? '' : ',\n'}${JSON.stringify(row)}`,
    tail: '\n]\n',
    separator: ',\n',
  },
  // What elasticdump writes and reads.
  esdump: {
    extension: 'esdump.jsonl',
    line: (row) => `{"_index":"bench","_id":"${row.id}","_source":${JSON.stringify(row)}}\n`,
  },
}

function csvLine(row) {
  let line = ''
  let first = true
  for (const key in row) {
    const value = row[key]
    if (!first) line += ','
    first = false
    if (value === null) continue
    const text = String(value)
    line += /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  }
  return `${line}\n`
}

/**
 * The file for a shape, format and number of rows, `repeat` times over, and what is in it:
 * `{ file, rows, bytes, sums: { typed, text, mapped } }`. Made once per folder.
 */
export function dataFile(folder, { shape, format, rows, repeat = 1 }) {
  mkdirSync(folder, { recursive: true })
  const { extension } = FORMATS[format]
  const file = join(folder, `${shape}-${rows}${repeat === 1 ? '' : `x${repeat}`}.${extension}`)
  const facts = `${file}.facts`
  if (!existsSync(facts)) {
    const sums =
      repeat === 1
        ? write(file, shape, FORMATS[format], rows)
        : writeRepeated(folder, file, { shape, format, rows, repeat })
    writeFileSync(facts, JSON.stringify({ rows: rows * repeat, bytes: statSync(file).size, sums }))
  }
  return { file, ...JSON.parse(readFileSync(facts, 'utf8')) }
}

function write(file, shape, format, rows) {
  const typed = new Checksum()
  const text = new Checksum()
  const mapped = new Checksum()
  const output = openSync(`${file}.part`, 'w')
  let waiting = format.head?.(Object.keys(SHAPES[shape].columns)) ?? ''
  let i = 0
  for (const row of rowsOf(shape, rows)) {
    waiting += format.line(row, i++)
    typed.text(canonical(row))
    text.text(canonicalText(row))
    if (shape === 'narrow') mapped.row(mapOrder(row))
    if (waiting.length > 1 << 20) {
      writeSync(output, waiting)
      waiting = ''
    }
  }
  writeSync(output, waiting + (format.tail ?? ''))
  closeSync(output)
  renameSync(`${file}.part`, file)
  return stated({ typed, text, mapped })
}

/** The same lines over and over, as one file. */
function writeRepeated(folder, file, { shape, format, rows, repeat }) {
  const once = dataFile(folder, { shape, format, rows })
  const content = readFileSync(once.file)
  const { head, tail = '', separator = '' } = FORMATS[format]
  const start = head === undefined ? 0 : content.indexOf(10) + 1
  const lines = content.subarray(start, content.length - tail.length)
  const output = openSync(`${file}.part`, 'w')
  writeAll(output, content.subarray(0, start))
  for (let i = 0; i < repeat; i++) {
    if (i > 0) writeAll(output, Buffer.from(separator))
    writeAll(output, lines)
  }
  writeAll(output, Buffer.from(tail))
  closeSync(output)
  renameSync(`${file}.part`, file)
  return Object.fromEntries(
    Object.entries(once.sums).map(([kind, sum]) => {
      const whole = new Checksum()
      whole.high = Number.parseInt(sum.slice(0, 8), 16)
      whole.low = Number.parseInt(sum.slice(8), 16)
      return [kind, String(whole.times(repeat))]
    }),
  )
}

function writeAll(output, bytes) {
  for (let at = 0; at < bytes.length; ) at += writeSync(output, bytes, at)
}

function stated(sums) {
  return Object.fromEntries(Object.entries(sums).map(([kind, sum]) => [kind, String(sum)]))
}
