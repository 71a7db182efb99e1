/** What the client of Infino's API takes and gives. */
import type { Clock, Json, Row, RunContext } from '../contracts.js'
import type { HttpOptions } from '../http/client.js'
import type { Mask } from '../http/redact.js'
import type { RetryOptions } from '../retry.js'
import type { BulkFailure } from './bulk.js'
import type { ImportRun } from './imports.js'
import type { SqlResult } from './sql-rows.js'

/** Where Infino is, and who asks. */
export interface InfinoConnection {
  /** Default: the environment's `INFINO_ENDPOINT`, else `https://api.infino.ws`. */
  readonly endpoint?: string | undefined
  /** Default: `INFINO_ACCESS_KEY`. */
  readonly accessKey?: string | undefined
  /** Default: `INFINO_SECRET_KEY`. */
  readonly secretKey?: string | undefined
}

export interface InfinoOptions extends InfinoConnection {
  /** Time limits, connections and size of answers. */
  readonly http?: HttpOptions | undefined
  /** How often questions are tried again, and with which waits. */
  readonly retry?: RetryOptions | undefined
  /** Time for tests. */
  readonly clock?: Clock | undefined
  /** A number from 0 up to 1, for the waits. */
  readonly random?: (() => number) | undefined
}

export interface ImportFileRequest {
  readonly dataset: string
  readonly format: 'jsonl' | 'json' | 'csv' | 'auto'
  /** The file's bytes in pieces, or a function that opens them anew; then `fileBytes` says how many there are. */
  readonly file: readonly Uint8Array[] | (() => AsyncIterable<Uint8Array>)
  readonly fileBytes?: number | undefined
  /** Default `data.` and the format. */
  readonly fileName?: string | undefined
  /** Rows that the server takes at a time; its own default where absent. */
  readonly batchRows?: number | undefined
  /** Answer at once with a run id, to be followed with `job`. Default false. */
  readonly async?: boolean | undefined
}

/** Methods reject with `EtlError`; a `signal` in the context stops them. */
export interface InfinoClient {
  /** Without a trailing slash. */
  readonly endpoint: string
  readonly ping: (context?: RunContext) => Promise<Json>
  readonly datasets: {
    readonly list: (context?: RunContext) => Promise<readonly Json[]>
    /** `existed` where the dataset was there before, which is success. */
    readonly create: (dataset: string, context?: RunContext) => Promise<{ readonly existed: boolean }>
    /** A dataset that is gone after a lost reply is success; one that never was is `ETL_INFINO_NOT_FOUND`. */
    readonly delete: (dataset: string, context?: RunContext) => Promise<void>
    readonly metadata: (dataset: string, context?: RunContext) => Promise<{ readonly [key: string]: Json }>
    readonly schema: (dataset: string, context?: RunContext) => Promise<Json>
  }
  /**
   * Sends NDJSON action lines with their rows, `count` of them, and gives the refused ones by position. Sent once.
   * Verdict `split` for a body refused as too large or malformed.
   */
  readonly upload: (
    dataset: string,
    body: Uint8Array,
    count: number,
    context?: RunContext,
  ) => Promise<readonly BulkFailure[]>
  /** Sends a file. Sent once. */
  readonly importFile: (request: ImportFileRequest, context?: RunContext) => Promise<ImportRun>
  /** State of an import that was started with `async`. */
  readonly job: (runId: string, context?: RunContext) => Promise<ImportRun>
  /** One record with its `_source`, or undefined where there is none. */
  readonly record: (dataset: string, id: string, context?: RunContext) => Promise<Row | undefined>
  readonly queryDsl: (dataset: string, query: Json, context?: RunContext) => Promise<Row>
  /** Statements that write are tried again only where the first try provably did nothing. */
  readonly sql: (query: string, context?: RunContext) => Promise<SqlResult>
  /** Rows that queries see, which may be a moment behind what was acknowledged. */
  readonly count: (dataset: string, context?: RunContext) => Promise<number>
  /** Deletes what a QueryDSL query matches; how many that were, where the server tells. */
  readonly deleteByQuery: (
    dataset: string,
    query: Json,
    context?: RunContext,
  ) => Promise<{ readonly deleted: number | undefined }>
  /** Masks the keys in any text. */
  readonly mask: Mask
  /** Drops the connections; a later request opens new ones. */
  readonly close: () => Promise<void>
}
