import type { Imports } from './imports.js'
import type { Store } from './store.js'

/** What every route may need. */
export interface Context {
  readonly store: Store
  readonly imports: Imports
  readonly bodyLimitBytes: number
  readonly uploadLimitBytes: number
  readonly queryTimeoutMs: number
}
