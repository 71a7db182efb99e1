// Writes made-up rows to a file, as a process of its own that can be killed or limited: kind, path, rows, checkpoint.
import { csvSink, from, jsonlSink, randomSource } from '../../dist/index.js'

const [kind, path, rows, checkpoint] = process.argv.slice(2)
const sink = kind === 'csv' ? csvSink(path) : jsonlSink(path)
const source = randomSource({ rows: Number(rows), columns: 5, seed: 11, batchRows: 100 })
try {
  await from(source)
    .to({ ...sink, limits: { ...sink.limits, rows: 100 } })
    .run({ checkpoint: checkpoint || undefined, checkpointEveryMs: 0 })
  console.log('complete')
} catch (error) {
  console.log(error.code, error.message)
}
