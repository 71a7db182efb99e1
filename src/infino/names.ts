/** Names that may stand in a path. */
import { EtlError } from '../errors.js'
import { show } from '../internal/options.js'

const NAME = /^[a-z0-9][a-z0-9._-]*$/
const MAX_LENGTH = 255

/** Fixed routes that share the root of the API with the datasets. */
const RESERVED: ReadonlySet<string> = new Set([
  ...['sql', 'metadata', 'sources', 'source', 'import', 'promql', 'fino', 'user', 'users', 'role', 'roles'],
  ...['visualizations', 'dashboards', 'account', 'alert', 'alerts', 'alert-history', 'monitor', 'monitors'],
  ...['rolemapping', 'rolemappings'],
])

/** The name itself, or `ETL_INFINO_DATASET_NAME` where a dataset cannot have it. */
export function datasetName(name: unknown): string {
  if (typeof name === 'string' && NAME.test(name) && name.length <= MAX_LENGTH) {
    if (!RESERVED.has(name)) return name
    throw invalid(`${show(name)} is a route of the API and cannot name a dataset; choose another name`)
  }
  throw invalid(
    `expected a dataset name of lower-case letters, digits, dot, dash and underscore that starts with a letter or digit (at most ${MAX_LENGTH}), got ${show(name)}`,
  )
}

function invalid(message: string): EtlError {
  return new EtlError('ETL_INFINO_DATASET_NAME', message, { context: { option: 'dataset' } })
}
