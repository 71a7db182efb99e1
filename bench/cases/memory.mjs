// Peak memory over the size of the input: the same rows as a file of about 100 MB, and twenty times over.
import { cases as uploads } from './upload.mjs'

const SIZES = [
  { label: 'small', repeat: 1 },
  { label: 'large', repeat: 20 },
]
const ROWS = { jsonl: 480_000, csv: 900_000 }

function memory(from, format, peers) {
  const base = uploads.find(({ name }) => name === from)
  const contenders = Object.fromEntries(['infino-etl', ...peers].map((name) => [name, base.contenders[name]]))
  return SIZES.map(({ label, repeat }) => ({
    ...base,
    name: `memory-${from.replace('upload-', '')}-${label}`,
    title: `Peak memory, ${base.title}, ${label}`,
    group: 'memory',
    rounds: 1,
    data: {
      shape: 'narrow',
      format,
      rows: ROWS[format],
      repeat,
      quick: ROWS[format] / 20,
      quickRepeat: repeat,
    },
    contenders,
  }))
}

export const cases = [
  ...memory('upload-jsonl', 'jsonl', ['helpers.bulk']),
  ...memory('upload-jsonl-map', 'jsonl', []),
  ...memory('upload-csv', 'csv', []),
]
