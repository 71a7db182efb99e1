// CSV files to rows, as text and typed, and to JSON lines.
import { createReadStream, readFileSync } from 'node:fs'
import { SHAPES } from '../lib/shapes.mjs'

const CHUNK = 256 * 1024
const ROWS = { narrow: 500_000, wide: 100_000, quoted: 400_000, unicode: 400_000 }

/** Turns the text of a cell into the value that its column's type asks for. */
const READERS = {
  number: (text) => (text === '' ? null : Number(text)),
  boolean: (text) => text === 'true',
}

function numbersOf(shape) {
  return Object.entries(SHAPES[shape].columns).filter(([, type]) => type !== 'string')
}

/** Conversions in place, over the columns that are no text: measured faster than csv-parse's own `cast`. */
function converter(shape) {
  const columns = numbersOf(shape).map(([name, type]) => [name, READERS[type]])
  return (row) => {
    for (const [name, read] of columns) row[name] = read(row[name])
    return row
  }
}

function piped(file, stream, onRow) {
  return new Promise((resolve, reject) => {
    stream.on('data', onRow)
    stream.on('end', resolve)
    stream.on('error', reject)
    createReadStream(file, { highWaterMark: CHUNK }).on('error', reject).pipe(stream)
  })
}

function contenders(shape, typed) {
  const convert = typed ? converter(shape) : undefined
  return {
    'infino-etl': {
      ours: true,
      settings: typed ? 'csvSource(file)' : 'csvSource(file, { types: false })',
      async prepare({ file, sink }) {
        const { csvSource } = await import('../../dist/index.js')
        const source = csvSource(file, typed ? {} : { types: false })
        return async () => {
          for await (const batch of source.read({})) sink.rows(batch.rows)
        }
      },
    },
    'csv-parse': {
      settings: `stream with columns: true, on('data')${typed ? '; columns that are no text converted in place' : ''}`,
      async prepare({ file, sink }) {
        const { parse } = await import('csv-parse')
        return () =>
          piped(
            file,
            parse({ columns: true }),
            typed ? (row) => sink.row(convert(row)) : (row) => sink.row(row),
          )
      },
    },
    'csv-parse/sync': {
      settings: `the whole file at once, columns: true${typed ? '; columns that are no text converted in place' : ''}`,
      async prepare({ file, sink }) {
        const { parse } = await import('csv-parse/sync')
        return () => {
          const rows = parse(readFileSync(file), { columns: true })
          if (typed) for (const row of rows) convert(row)
          sink.rows(rows)
        }
      },
    },
    'csv-parser': {
      settings: `stream, on('data')${typed ? '; columns that are no text converted in place' : ''}`,
      async prepare({ file, sink }) {
        const { default: csv } = await import('csv-parser')
        return () => piped(file, csv(), typed ? (row) => sink.row(convert(row)) : (row) => sink.row(row))
      },
    },
    PapaParse: {
      settings: `the whole text at once, header: true${typed ? ', dynamicTyping for the columns that are no text' : ''}`,
      async prepare({ file, sink }) {
        const { default: Papa } = await import('papaparse')
        const options = { header: true, skipEmptyLines: true }
        if (typed) options.dynamicTyping = Object.fromEntries(numbersOf(shape).map(([name]) => [name, true]))
        return () => sink.rows(Papa.parse(readFileSync(file, 'utf8'), options).data)
      },
    },
    uDSV: {
      settings: `the whole text at once, ${typed ? 'typedObjs with a schema that leaves dates as text' : 'stringObjs'}`,
      async prepare({ file, sink }) {
        const { inferSchema, initParser } = await import('udsv')
        return () => {
          const text = readFileSync(file, 'utf8')
          const schema = inferSchema(text)
          if (typed) for (const column of schema.cols) setType(column, SHAPES[shape].columns[column.name])
          const parser = initParser(schema)
          sink.rows(typed ? parser.typedObjs(text) : parser.stringObjs(text))
        }
      },
    },
  }
}

function setType(column, type) {
  column.type = { string: 's', number: 'n', boolean: 'b:true' }[type]
}

/** Rows to JSON lines in a buffer of 3.2 MiB that is filled over and over. */
const lines = {
  'infino-etl': {
    ours: true,
    settings: "csvSource(file).read({ form: 'any' }), putRow into one buffer",
    async prepare({ file, sink }) {
      const { csvSource, putRow, size } = await import('../../dist/index.js')
      return async () => {
        const body = Buffer.allocUnsafe(3_355_443)
        let at = 0
        for await (const batch of csvSource(file).read({ form: 'any' })) {
          const count = size(batch)
          for (let i = 0; i < count; i++) {
            let end = putRow(batch, i, body, at)
            if (end < 0 || end === body.length) {
              sink.lines(body.subarray(0, at))
              end = putRow(batch, i, body, 0)
            }
            body[end] = 10
            at = end + 1
          }
        }
        sink.lines(body.subarray(0, at))
      }
    },
  },
  'csv-parse + JSON.stringify': {
    settings:
      "stream with columns: true, on('data'), columns that are no text converted in place; lines joined to pieces of 64 KiB characters and encoded",
    async prepare({ file, sink }) {
      const { parse } = await import('csv-parse')
      const convert = converter('narrow')
      return async () => {
        let text = ''
        await piped(file, parse({ columns: true }), (row) => {
          text += `${JSON.stringify(convert(row))}\n`
          if (text.length < 65_536) return
          sink.lines(Buffer.from(text))
          text = ''
        })
        sink.lines(Buffer.from(text))
      }
    },
  },
  'uDSV + JSON.stringify': {
    settings: 'the whole text at once, typedObjs; lines joined to pieces of 64 KiB characters and encoded',
    async prepare({ file, sink }) {
      const { inferSchema, initParser } = await import('udsv')
      return () => {
        const content = readFileSync(file, 'utf8')
        const schema = inferSchema(content)
        for (const column of schema.cols) setType(column, SHAPES.narrow.columns[column.name])
        let text = ''
        for (const row of initParser(schema).typedObjs(content)) {
          text += `${JSON.stringify(row)}\n`
          if (text.length < 65_536) continue
          sink.lines(Buffer.from(text))
          text = ''
        }
        sink.lines(Buffer.from(text))
      }
    },
  },
}

export const cases = [
  ...['narrow', 'wide', 'quoted', 'unicode'].flatMap((shape) =>
    [true, false].map((typed) => ({
      name: `csv-${typed ? 'typed' : 'text'}-${shape}`,
      title: `CSV to ${typed ? 'typed rows' : 'rows of text'}, ${shape}`,
      group: 'decode',
      data: { shape, format: 'csv', rows: ROWS[shape], quick: ROWS[shape] / 5 },
      sum: typed ? 'typed' : 'text',
      contenders: contenders(shape, typed),
    })),
  ),
  {
    name: 'csv-lines-narrow',
    title: 'CSV to JSON lines, typed, narrow',
    group: 'decode',
    data: { shape: 'narrow', format: 'csv', rows: ROWS.narrow, quick: ROWS.narrow / 5 },
    sum: 'typed',
    contenders: lines,
  },
]
