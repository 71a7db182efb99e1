/**
 * Files of any known format, told by name and otherwise by content.
 *
 *     const rows = fileSource('exports/*')
 *
 * Each file is read as `csvSource`, `jsonSource` or `jsonlSource` would read it.
 */
import { formatOfName, formatOfText, type TextFormat } from '../codecs/sniff.js'
import type { Row, Source } from '../contracts.js'
import { oneOf } from '../internal/options.js'
import { csvFormat, jsonFormat, jsonlFormat } from './files/formats.js'
import type { FileInput } from './files/input.js'
import type { FileOptions } from './files/setup.js'
import { filesSource } from './files/source.js'

export interface FileSourceOptions extends FileOptions {
  /** Default: by each file's name, else by its content. */
  readonly format?: TextFormat | undefined
}

export function fileSource<R = Row>(input: FileInput, options: FileSourceOptions = {}): Source<R> {
  if (options.format !== undefined) oneOf('format', options.format, ['csv', 'json', 'jsonl'])
  const formats = { csv: csvFormat({}), json: jsonFormat(), jsonl: jsonlFormat }
  return filesSource<R>('file', input, options, Object.values(formats), async (part, head) => {
    return formats[options.format ?? formatOfName(part.name) ?? formatOfText(await head())]
  })
}
