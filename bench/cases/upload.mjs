// End to end: a file to uploads, with and without a map. Everything a process does from its start to its end counts.
import { createReadStream, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { KEYS } from '../lib/keys.mjs'
import { mapOrder, SHAPES } from '../lib/shapes.mjs'

const CHUNK = 256 * 1024
const BODY = 3_355_443
const IN_FLIGHT = 4
const DOCUMENTS = 16_000

// What every peer is spared: signatures, hashes of bodies, and ids for the rows.

/** Ours: the public interface with nothing but defaults. */
function ours(format, mapped) {
  return {
    ours: true,
    settings: `from(${format}Source(file))${mapped ? '.map(fn)' : ''}.to(infinoUploadSink({ dataset })).run(): defaults, signed`,
    async prepare({ file, url }) {
      const etl = await import('../../dist/index.js')
      const start = etl.from(etl[`${format}Source`](file))
      const sink = etl.infinoUploadSink({ dataset: 'bench', endpoint: url, ...KEYS })
      return () => (mapped ? start.map(mapOrder) : start).to(sink).run()
    },
  }
}

/** Bodies of about 3.2 MiB posted with fetch, four in flight; `add` takes the JSON text of a row. */
function fetchUpload(url) {
  const sending = new Set()
  let body = ''
  let failure
  const send = (text) => {
    const sent = fetch(`${url}/bench/_bulk`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: text,
    })
      .then((response) => response.json())
      .then((reply) => {
        if (reply.errors) throw new Error('rows were refused')
      })
      .catch((error) => {
        failure ??= error
      })
      .finally(() => sending.delete(sent))
    sending.add(sent)
  }
  return {
    /** Undefined, or what to wait for before more is added. */
    add(json) {
      body += `{"index":{}}\n${json}\n`
      if (body.length < BODY) return undefined
      send(body)
      body = ''
      return sending.size < IN_FLIGHT ? undefined : Promise.race(sending)
    },
    async end() {
      if (body !== '') send(body)
      await Promise.all(sending)
      if (failure) throw failure
    },
  }
}

const typedOrder = (() => {
  const numbers = Object.entries(SHAPES.narrow.columns).filter(([, type]) => type === 'number')
  return (row) => {
    for (const [name] of numbers) row[name] = row[name] === '' ? null : Number(row[name])
    row.paid = row.paid === 'true'
    return row
  }
})()

const FETCH = `fetch with bodies of 3.2 MiB, ${IN_FLIGHT} in flight; unsigned, no ids`

function csvLoop(mapped) {
  return {
    settings: `for await over csv-parse (columns: true), numbers and booleans converted in place, JSON.stringify, ${FETCH}`,
    async prepare({ file, url }) {
      const { parse } = await import('csv-parse')
      return async () => {
        const upload = fetchUpload(url)
        const rows = createReadStream(file, { highWaterMark: CHUNK }).pipe(parse({ columns: true }))
        for await (const row of rows) {
          const typed = typedOrder(row)
          const wait = upload.add(JSON.stringify(mapped ? mapOrder(typed) : typed))
          if (wait) await wait
        }
        await upload.end()
      }
    },
  }
}

function lineLoop(mapped) {
  return {
    settings: `for await over node:readline, ${mapped ? 'JSON.parse, the map, JSON.stringify' : 'lines as they are'}, ${FETCH}`,
    async prepare({ file, url }) {
      return async () => {
        const upload = fetchUpload(url)
        const lines = createInterface({
          input: createReadStream(file, { highWaterMark: CHUNK }),
          crlfDelay: Number.POSITIVE_INFINITY,
        })
        for await (const line of lines) {
          const wait = upload.add(mapped ? JSON.stringify(mapOrder(JSON.parse(line))) : line)
          if (wait) await wait
        }
        await upload.end()
      }
    },
  }
}

function streamJsonLoop(mapped) {
  return {
    settings: `pipe(parseFile({ streamValues: false, 256 KiB blocks }), streamArray(), fn), JSON.stringify, ${FETCH}`,
    async prepare({ file, url }) {
      const { parseFile } = await import('stream-json/file/parser.js')
      const { streamArray } = await import('stream-json/streamers/stream-array.js')
      const { pipe } = await import('stream-chain/utils/pipe.js')
      const { drain } = await import('stream-chain/utils/drain.js')
      const options = { packValues: true, streamValues: false, readBlockSize: CHUNK }
      return async () => {
        const upload = fetchUpload(url)
        await drain(
          pipe(parseFile(options), streamArray(), ({ value }) => {
            // A promise is waited for by the chain.
            return upload.add(JSON.stringify(mapped ? mapOrder(value) : value))
          })(file),
        )
        await upload.end()
      }
    },
  }
}

function wholeJson(mapped) {
  return {
    settings: `JSON.parse of the whole text, JSON.stringify of each row, ${FETCH}`,
    async prepare({ file, url }) {
      return async () => {
        const upload = fetchUpload(url)
        for (const row of JSON.parse(readFileSync(file, 'utf8'))) {
          const wait = upload.add(JSON.stringify(mapped ? mapOrder(row) : row))
          if (wait) await wait
        }
        await upload.end()
      }
    },
  }
}

async function bulk(url, datasource, onDocument) {
  const { Client } = await import('@elastic/elasticsearch')
  const client = new Client({ node: url })
  const result = await client.helpers.bulk({
    datasource,
    onDocument,
    concurrency: IN_FLIGHT,
    onDrop: (dropped) => {
      throw new Error(`dropped: ${JSON.stringify(dropped)}`)
    },
  })
  if (result.failed > 0) throw new Error('rows were refused')
  await client.close()
}

const BULK = `flushBytes 5 MB (default), concurrency ${IN_FLIGHT}; unsigned, no ids`

function bulkLines(mapped) {
  const action = { index: { _index: 'bench' } }
  return {
    settings: `datasource createReadStream piped to ${mapped ? 'split2(JSON.parse), the map in onDocument' : 'split2(): lines stay strings'}; ${BULK}`,
    async prepare({ file, url }) {
      const { default: split } = await import('split2')
      await import('@elastic/elasticsearch')
      return () =>
        bulk(
          url,
          createReadStream(file, { highWaterMark: CHUNK }).pipe(mapped ? split(JSON.parse) : split()),
          mapped ? (row) => [action, mapOrder(row)] : () => action,
        )
    },
  }
}

function bulkCsv(mapped) {
  const action = { index: { _index: 'bench' } }
  return {
    settings: `datasource csv-parse (columns: true), numbers and booleans converted in onDocument; ${BULK}`,
    async prepare({ file, url }) {
      const { parse } = await import('csv-parse')
      await import('@elastic/elasticsearch')
      return () =>
        bulk(url, createReadStream(file, { highWaterMark: CHUNK }).pipe(parse({ columns: true })), (row) => {
          const typed = typedOrder(row)
          return mapped ? [action, mapOrder(typed)] : [action, typed]
        })
    },
  }
}

/** The client in the form that `etl` expects. */
async function etlClient(url) {
  const { Client } = await import('@elastic/elasticsearch')
  const client = new Client({ node: url })
  return {
    close: () => client.close(),
    bulk: ({ body, index }) =>
      client.bulk({ index, operations: body }).then((reply) => {
        if (reply.errors) throw new Error('rows were refused')
        return reply
      }),
  }
}

const ETL = `collect(${DOCUMENTS}), elastic.index with concurrency ${IN_FLIGHT}; unsigned, no ids`

function etlLines(mapped) {
  return {
    settings: `createReadStream, etl.split(), etl.map with JSON.parse${mapped ? ' and the map' : ''}, ${ETL}`,
    async prepare({ file, url }) {
      const { default: etl } = await import('etl')
      const client = await etlClient(url)
      return async () => {
        await etl
          .toStream(createReadStream(file, { highWaterMark: CHUNK }))
          .pipe(etl.split())
          .pipe(
            etl.map(({ text }) => {
              if (text === '') return undefined
              const row = JSON.parse(text)
              return mapped ? mapOrder(row) : row
            }),
          )
          .pipe(etl.collect(DOCUMENTS))
          .pipe(etl.elastic.index(client, 'bench', undefined, { concurrency: IN_FLIGHT }))
          .promise()
        await client.close()
      }
    },
  }
}

function etlCsv(mapped) {
  return {
    settings: `createReadStream, etl.csv(), etl.map with conversions${mapped ? ' and the map' : ''}, ${ETL}`,
    async prepare({ file, url }) {
      const { default: etl } = await import('etl')
      const client = await etlClient(url)
      return async () => {
        await etl
          .toStream(createReadStream(file, { highWaterMark: CHUNK }))
          .pipe(etl.csv())
          .pipe(
            etl.map(({ __line, ...row }) => {
              const typed = typedOrder(row)
              return mapped ? mapOrder(typed) : typed
            }),
          )
          .pipe(etl.collect(DOCUMENTS))
          .pipe(etl.elastic.index(client, 'bench', undefined, { concurrency: IN_FLIGHT }))
          .promise()
        await client.close()
      }
    },
  }
}

const elasticdump = {
  settings: `the command, --type=data --limit=${DOCUMENTS} --noRefresh, from a file in its own dump format; unsigned`,
  slow: true,
  format: 'esdump',
  command: ({ file, url }) => [
    createRequire(import.meta.url).resolve('elasticdump/bin/elasticdump'),
    `--input=${file}`,
    `--output=${url}/bench`,
    '--type=data',
    `--limit=${DOCUMENTS}`,
    '--noRefresh',
    '--quiet',
  ],
}

const data = (format) => ({ shape: 'narrow', format, rows: 200_000, repeat: 10, quick: 100_000 })

function upload(format, mapped, contenders) {
  const kind = { jsonl: 'JSON lines', csv: 'CSV', json: 'JSON array' }[format]
  return {
    name: `upload-${format}${mapped ? '-map' : ''}`,
    title: `${kind} file to uploads${mapped ? ' through map' : ''}`,
    group: 'end to end',
    wholeProcess: true,
    data: data(format),
    sum: mapped ? 'mapped' : 'typed',
    contenders: { 'infino-etl': ours(format, mapped), ...contenders },
  }
}

export const cases = [
  upload('jsonl', false, {
    'helpers.bulk': bulkLines(false),
    elasticdump,
    etl: etlLines(false),
    'readline + fetch': lineLoop(false),
  }),
  upload('jsonl', true, {
    'helpers.bulk': bulkLines(true),
    etl: etlLines(true),
    'readline + JSON.parse + fetch': lineLoop(true),
  }),
  upload('csv', false, {
    'csv-parse + fetch': csvLoop(false),
    'helpers.bulk': bulkCsv(false),
    etl: etlCsv(false),
  }),
  upload('csv', true, {
    'csv-parse + fetch': csvLoop(true),
    'helpers.bulk': bulkCsv(true),
    etl: etlCsv(true),
  }),
  upload('json', false, {
    'stream-json + fetch': streamJsonLoop(false),
    'JSON.parse + fetch': wholeJson(false),
  }),
  upload('json', true, {
    'stream-json + fetch': streamJsonLoop(true),
    'JSON.parse + fetch': wholeJson(true),
  }),
]
