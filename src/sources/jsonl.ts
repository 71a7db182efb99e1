/**
 * JSON Lines (NDJSON): one object per line.
 *
 *     const events = jsonlSource(['events.ndjson.gz', 'more.ndjson'])
 *
 * One partition per file, a cursor per batch. Blank lines are passed over. A line that is no object
 * (`ETL_JSONL_NOT_OBJECT`), broken (`ETL_JSON_BROKEN`) or too long (`ETL_ROW_TOO_LARGE`) is a rejected row.
 * Where nothing looks inside a row, lines travel as text and are never parsed; what only seems to be an object
 * is then judged by the receiver. An empty file has no rows.
 */
import type { Row, Source } from '../contracts.js'
import { jsonlFormat } from './files/formats.js'
import type { FileInput } from './files/input.js'
import type { FileOptions } from './files/setup.js'
import { filesSource } from './files/source.js'

export type JsonlSourceOptions = FileOptions

export function jsonlSource<R = Row>(input: FileInput, options: JsonlSourceOptions = {}): Source<R> {
  return filesSource<R>('jsonl', input, options, [jsonlFormat], () => jsonlFormat)
}
