// A load whose source never gives anything and holds nothing open.
import { guarded } from '../../dist/cli/guard.js'
import { runLoad } from '../../dist/cli/load-run.js'

const source = {
  name: 'stuck',
  read: async function* () {
    await new Promise(() => {})
    yield { rows: [] }
  },
}
const flags = { header: true, types: 'infer', onError: 'fail', dryRun: true }
void guarded((signal) => runLoad([], flags, signal, source))
