/** A local Infino: the HTTP API over a DuckDB file, for development and tests. */
export { type LocalKeys, localKeys } from './auth.js'
export { type LocalInfino, type LocalInfinoOptions, startLocalInfino } from './server.js'
