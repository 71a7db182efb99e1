/** The byte lane: WebAssembly with one import, without a runtime and without memory of its own. */
export { bulk, bulkEnd } from './bulk'
export { beginCsv, csv, header } from './csv'
export { beginJson, json } from './json'
export { at, begin, line, out, outEnd, passRefused, rows, skipTo, taken, widen } from './state'
