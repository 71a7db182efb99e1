/** The formats that files can have. */
import { type CsvDecoderSetup, type CsvLayout, csvDecoder } from '../../codecs/csv.js'
import {
  type CsvLayoutOptions,
  type CsvSample,
  layoutOf,
  sampleCsv,
  sharedTypes,
} from '../../codecs/csv-layout.js'
import type { CsvColumnType } from '../../codecs/csv-types.js'
import { type JsonArrayDecoderSetup, jsonArrayDecoder } from '../../codecs/json-array.js'
import { jsonlDecoder } from '../../codecs/jsonl.js'
import { csvByteDecoder } from '../../codecs/wasm/csv.js'
import { jsonArrayByteDecoder } from '../../codecs/wasm/json.js'
import type { Json } from '../../contracts.js'
import type { FileFormat } from './format.js'

export interface CsvFormatOptions extends CsvLayoutOptions {
  readonly ragged?: 'reject' | 'fill' | undefined
  readonly strict?: boolean | undefined
}

export function csvFormat(options: CsvFormatOptions): FileFormat {
  const typed = options.types !== false
  return {
    name: 'csv',
    sample: (head, whole, file) => asJson(sampleCsv(head, whole, file, options)),
    ...(typed ? { share: (samples) => asJson([...sharedTypes(samples.map(from<CsvSample>))]) } : {}),
    plan: (sample, file, shared) => {
      const types = shared === undefined ? undefined : new Map(from<[string, CsvColumnType][]>(shared))
      return asJson(layoutOf(from<CsvSample>(sample), file, options.types, types))
    },
    facts: (plan) => {
      const { dialect, header, columns } = from<CsvLayout>(plan)
      return { delimiter: dialect.delimiter, header, columns }
    },
    schema: (plans) => {
      const columns = new Map<string, CsvColumnType>()
      for (const { columns: names, types } of plans.map(from<CsvLayout>)) {
        names.forEach((name, index) => {
          if (!columns.has(name)) columns.set(name, types[index] as CsvColumnType)
        })
      }
      return { columns: [...columns].map(([name, type]) => ({ name, type, nullable: true })) }
    },
    decoder: (plan, setup) => {
      const { ragged, strict } = options
      const full: CsvDecoderSetup = { ...setup, layout: from<CsvLayout>(plan as Json), ragged, strict }
      return setup.form === 'any' ? csvByteDecoder(full) : csvDecoder(full)
    },
  }
}

export function jsonFormat(path?: string): FileFormat {
  return {
    name: 'json',
    decoder: (_plan, setup) => {
      const full: JsonArrayDecoderSetup = { ...setup, path: path?.split('.') }
      return setup.form === 'any' ? jsonArrayByteDecoder(full) : jsonArrayDecoder(full)
    },
  }
}

export const jsonlFormat: FileFormat = {
  name: 'jsonl',
  decoder: (_plan, setup) => jsonlDecoder(setup),
}

function asJson(value: unknown): Json {
  return value as Json
}

function from<T>(value: Json): T {
  return value as unknown as T
}
