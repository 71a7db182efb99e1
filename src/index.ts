/** What the package offers, in the order of the flow. */
export type * from './contracts.js'

// pipelines
export { from, Pipeline, Runnable } from './pipeline.js'
export type { RunOptions } from './run-options.js'
export type { RetryOptions } from './retry.js'
export { type DeadLetter, deadLetter, type OnError } from './rejections.js'
export { type Checkpoint, type CheckpointStore, fileCheckpoint, memoryCheckpoint } from './checkpoint.js'
export { type Completeness, type Progress, type RunReport, reportOf, type StageTime } from './report.js'
export { describeLedger, type Ledger, type TransformEntry } from './ledger.js'
export { type ErrorContext, EtlError, isEtlError } from './errors.js'

// sources
export { type CsvSourceOptions, csvSource } from './sources/csv.js'
export { type FileSourceOptions, fileSource } from './sources/file.js'
export type { FileInput } from './sources/files/input.js'
export { type JsonSourceOptions, jsonSource } from './sources/json.js'
export { type JsonlSourceOptions, jsonlSource } from './sources/jsonl.js'
export { type RandomSourceOptions, type RandomType, randomSource } from './sources/random.js'

// transforms
export { filter } from './transforms/filter.js'
export { flatMap } from './transforms/flat-map.js'
export { map } from './transforms/map.js'

// sinks
export { type CallbackAnswer, type CallbackInfo, callbackSink } from './sinks/callback.js'
export { type CsvSinkOptions, csvSink } from './sinks/csv.js'
export { type InfinoImportSinkOptions, infinoImportSink } from './sinks/infino-import.js'
export { type InfinoUploadSinkOptions, infinoUploadSink } from './sinks/infino-upload.js'
export { type JsonlSinkOptions, jsonlSink } from './sinks/jsonl.js'
export { type MemorySink, memorySink } from './sinks/memory.js'
export { type NullSink, nullSink } from './sinks/null.js'

// Node streams
export {
  type By,
  type CollectOptions,
  type FromReadableOptions,
  fromReadable,
  type ReadableOf,
  type SinkWritable,
  type StreamSource,
  type ToReadableOptions,
  type ToTransformOptions,
  type ToWritableOptions,
  toReadable,
  toTransform,
  toWritable,
  viaStream,
} from './interop.js'

// Infino's API
export { infinoClient } from './infino/client.js'
export type { InfinoClient, InfinoConnection, InfinoOptions } from './infino/types.js'

// batches and pages, for sources, transforms and sinks of your own
export {
  originAt,
  parse,
  putRow,
  replaceRows,
  rowAt,
  rowsBatch,
  select,
  size,
  slice,
  textAt,
  textBatch,
  withCursor,
} from './batch.js'
export { type Page, type PagerOptions, readPages } from './pager.js'
