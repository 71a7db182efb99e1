// A load from a source that no file can be: `stuck` never gives anything and holds nothing open, `short` promises
// more rows than it gives.
import { guarded } from '../../dist/cli/guard.js'
import { runLoad } from '../../dist/cli/load-run.js'

const reads = {
  stuck: async function* () {
    await new Promise(() => {})
    yield { rows: [] }
  },
  short: async function* ({ expect }) {
    expect?.(3)
    yield { rows: [{ a: 1 }, { a: 2 }] }
  },
}
const name = process.argv[2]
const flags = { header: true, types: 'infer', onError: 'fail', dryRun: true }
void guarded((signal) => runLoad([], flags, signal, { name, read: reads[name] }))
