// JSON arrays and JSON lines to rows.
import { createReadStream, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

const CHUNK = 256 * 1024
const ROWS = { narrow: 500_000, wide: 100_000, quoted: 400_000, unicode: 400_000 }
// Lines that nobody parses take so little time that there must be more of them.
const LINES = { narrow: 1_000_000, wide: 200_000, quoted: 800_000, unicode: 800_000 }

const array = {
  'infino-etl': {
    ours: true,
    settings: 'jsonSource(file)',
    async prepare({ file, sink }) {
      const { jsonSource } = await import('../../dist/index.js')
      return async () => {
        for await (const batch of jsonSource(file).read({})) sink.rows(batch.rows)
      }
    },
  },
  'stream-json': {
    settings:
      'pipe(parseFile({ streamValues: false, 256 KiB blocks }), streamArray(), fn), the fastest form its documentation gives',
    async prepare({ file, sink }) {
      const { parseFile } = await import('stream-json/file/parser.js')
      const { streamArray } = await import('stream-json/streamers/stream-array.js')
      const { pipe } = await import('stream-chain/utils/pipe.js')
      const { drain } = await import('stream-chain/utils/drain.js')
      const options = { packValues: true, streamValues: false, readBlockSize: CHUNK }
      return () =>
        drain(
          pipe(parseFile(options), streamArray(), ({ value }) => {
            sink.row(value)
          })(file),
        )
    },
  },
  'stream-json (piped)': {
    settings:
      "createReadStream piped to streamArray.withParserAsStream(), on('data'), defaults: the usual form",
    async prepare({ file, sink }) {
      const { streamArray } = await import('stream-json/streamers/stream-array.js')
      return () =>
        new Promise((resolve, reject) => {
          createReadStream(file, { highWaterMark: CHUNK })
            .pipe(streamArray.withParserAsStream())
            .on('data', ({ value }) => sink.row(value))
            .on('end', resolve)
            .on('error', reject)
        })
    },
  },
  '@streamparser/json': {
    settings: "paths: ['$.*'], keepStack: false, bytes written in pieces of 256 KiB",
    async prepare({ file, sink }) {
      const { JSONParser } = await import('@streamparser/json')
      return async () => {
        const parser = new JSONParser({ paths: ['$.*'], keepStack: false })
        parser.onValue = ({ value }) => sink.row(value)
        for await (const piece of createReadStream(file, { highWaterMark: CHUNK })) parser.write(piece)
      }
    },
  },
  'JSON.parse': {
    settings: 'the whole text at once',
    async prepare({ file, sink }) {
      return () => sink.rows(JSON.parse(readFileSync(file, 'utf8')))
    },
  },
}

function onData(file, stream, onRow) {
  return new Promise((resolve, reject) => {
    createReadStream(file, { highWaterMark: CHUNK })
      .on('error', reject)
      .pipe(stream)
      .on('data', onRow)
      .on('end', resolve)
      .on('error', reject)
  })
}

const jsonLines = {
  'infino-etl': {
    ours: true,
    settings: 'jsonlSource(file)',
    async prepare({ file, sink }) {
      const { jsonlSource } = await import('../../dist/index.js')
      return async () => {
        for await (const batch of jsonlSource(file).read({})) sink.rows(batch.rows)
      }
    },
  },
  'infino-etl (unparsed)': {
    ours: true,
    settings: "jsonlSource(file).read({ form: 'any' }): rows stay text",
    async prepare({ file, sink, check }) {
      const { jsonlSource, size, textAt } = await import('../../dist/index.js')
      return async () => {
        for await (const batch of jsonlSource(file).read({ form: 'any' })) {
          if (check) for (let i = 0; i < size(batch); i++) sink.row(JSON.parse(textAt(batch, i)))
          else sink.count(size(batch))
        }
      }
    },
  },
  ndjson: {
    settings: "createReadStream piped to ndjson.parse(), on('data')",
    async prepare({ file, sink }) {
      const { default: ndjson } = await import('ndjson')
      return () => onData(file, ndjson.parse(), (row) => sink.row(row))
    },
  },
  split2: {
    settings: "createReadStream piped to split2(JSON.parse), on('data')",
    async prepare({ file, sink }) {
      const { default: split } = await import('split2')
      return () => onData(file, split(JSON.parse), (row) => sink.row(row))
    },
  },
  'split2 (unparsed)': {
    settings: "createReadStream piped to split2(), on('data'): lines as strings",
    async prepare({ file, sink, check }) {
      const { default: split } = await import('split2')
      return () => onData(file, split(), check ? (line) => sink.row(JSON.parse(line)) : () => sink.count(1))
    },
  },
  'readline + JSON.parse': {
    settings: "node:readline over createReadStream, on('line')",
    async prepare({ file, sink }) {
      return () =>
        new Promise((resolve) => {
          createInterface({
            input: createReadStream(file, { highWaterMark: CHUNK }),
            crlfDelay: Number.POSITIVE_INFINITY,
          })
            .on('line', (line) => sink.row(JSON.parse(line)))
            .on('close', resolve)
        })
    },
  },
}

const shapes = ['narrow', 'wide', 'quoted', 'unicode']

export const cases = [
  ...shapes.map((shape) => ({
    name: `json-${shape}`,
    title: `JSON array to rows, ${shape}`,
    group: 'decode',
    data: { shape, format: 'json', rows: ROWS[shape], quick: ROWS[shape] / 5 },
    sum: 'typed',
    contenders: array,
  })),
  ...shapes.map((shape) => ({
    name: `jsonl-${shape}`,
    title: `JSON lines to rows, ${shape}`,
    group: 'decode',
    data: { shape, format: 'jsonl', rows: LINES[shape], quick: LINES[shape] / 5 },
    sum: 'typed',
    contenders: jsonLines,
  })),
]
