/** How the program ends, as a shell sees it. */
import { CommanderError } from 'commander'
import { isEtlError } from '../errors.js'

export const EXIT = {
  /** Complete, balanced, and no row rejected. */
  done: 0,
  /** It did not come to its end. */
  fatal: 1,
  /** The command line or an option is wrong; nothing was begun. */
  usage: 2,
  /** It came to its end, and rows were rejected. */
  rejected: 3,
  /** SIGINT or SIGTERM. */
  interrupted: 4,
  /** Rows are missing or came twice: the ledger does not balance, or the source promised another number. */
  unbalanced: 5,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

const USAGE = new Set(['ETL_OPTION_INVALID', 'ETL_INFINO_DATASET_NAME', 'ETL_CLI_USAGE'])
const UNBALANCED = new Set(['ETL_LEDGER_UNBALANCED', 'ETL_SOURCE_INCOMPLETE'])

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage
  if (!isEtlError(error)) return EXIT.fatal
  if (error.code === 'ETL_ABORTED') return EXIT.interrupted
  if (USAGE.has(error.code)) return EXIT.usage
  return UNBALANCED.has(error.code) ? EXIT.unbalanced : EXIT.fatal
}
