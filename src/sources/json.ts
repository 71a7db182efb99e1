/**
 * An array of objects in a JSON document, read without holding the document.
 *
 *     const nodes = jsonSource('graph.json', { path: 'data.nodes' })
 *
 * One partition per file, a cursor per batch. Whole numbers beyond 2^53 arrive as `bigint`. An element that is no
 * object is a rejected row (`ETL_JSON_NOT_OBJECT`); broken JSON (`ETL_JSON_BROKEN`, with its byte) ends the read.
 * It does not read a single object as one row, nor objects one after another: that is `jsonlSource`.
 */
import type { Row, Source } from '../contracts.js'
import { nonEmptyString } from '../internal/options.js'
import { jsonFormat } from './files/formats.js'
import type { FileInput } from './files/input.js'
import type { FileOptions } from './files/setup.js'
import { filesSource } from './files/source.js'

export interface JsonSourceOptions extends FileOptions {
  /** Keys from the top of the document to the array, with dots between. Default: the document is the array. */
  readonly path?: string | undefined
}

export function jsonSource<R = Row>(input: FileInput, options: JsonSourceOptions = {}): Source<R> {
  if (options.path !== undefined) nonEmptyString('path', options.path)
  const format = jsonFormat(options.path)
  return filesSource<R>('json', input, options, [format], () => format)
}
