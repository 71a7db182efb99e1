/** How a pipeline is run. */
import type { CheckpointStore } from './checkpoint.js'
import type { Clock, Logger } from './contracts.js'
import type { OnError } from './rejections.js'
import type { Progress } from './report.js'
import type { RetryOptions } from './retry.js'

export interface RunOptions {
  /** Keep the position in a store, or in a file of this name, and go on from it. */
  readonly checkpoint?: CheckpointStore | string | undefined
  /** At most one save in so many milliseconds. Default 1000. */
  readonly checkpointEveryMs?: number | undefined
  /** What to do with rejected rows. Default `'fail'`. */
  readonly onError?: OnError | undefined
  /** What to do when the source gives another number of rows than it declared. Default `'fail'`. */
  readonly onIncomplete?: 'fail' | 'warn' | undefined
  /** Stops the run: reading ends, what is in flight may settle for `graceMs`, then it is cut off. */
  readonly signal?: AbortSignal | undefined
  /** Default 5000. */
  readonly graceMs?: number | undefined
  /**
   * After a failure, how long the answers of what is in flight are waited for, so that the ledger knows them;
   * once the signal fires, `graceMs` counts. Default `graceMs`.
   */
  readonly settleMs?: number | undefined
  /** Where messages go. Default nowhere. */
  readonly log?: Logger | undefined
  /** How often failed writes are tried again. */
  readonly retry?: RetryOptions | undefined
  /** Partitions read at once. Default 4; always 1 with a `limit`. */
  readonly parallel?: number | undefined
  /** Read so many rows and stop: a success, reported as `truncated`. */
  readonly limit?: number | undefined
  /** Part of the ids of rows that have no key. Default: that of the checkpoint, or random. */
  readonly runId?: string | undefined
  /** Called after every write and every chunk read; must be quick. */
  readonly onProgress?: ((progress: Progress) => void) | undefined
  readonly clock?: Clock | undefined
  /** For the jitter of retries: a number from 0 up to 1. */
  readonly random?: (() => number) | undefined
}
