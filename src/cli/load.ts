/** `infino-etl load`: its arguments. What it does is in `load-run.ts`. */
import { Command, Option } from 'commander'
import type { ExitCode } from './exit-codes.js'
import { collect, connectionOptions, wholeFrom } from './options.js'

export interface LoadFlags {
  readonly to?: string
  readonly endpoint?: string
  readonly local?: string | true
  readonly format?: 'csv' | 'json' | 'jsonl'
  readonly delimiter?: string
  readonly header: boolean
  readonly types: 'infer' | 'text'
  readonly path?: string
  readonly id?: readonly string[]
  readonly batchRows?: number
  readonly batchBytes?: number
  readonly concurrency?: number
  readonly limit?: number
  readonly onError: string
  readonly checkpoint?: string
  readonly summary?: string
  readonly dryRun?: boolean
}

export function loadCommand(signal: AbortSignal, ran: (code: ExitCode) => void): Command {
  const command = new Command('load')
    .description('Load CSV, JSON or JSONL files into a dataset')
    .argument('<files...>', 'files, globs (in quotes), or - for standard input; .gz and .br are unpacked')
    .option('-t, --to <dataset>', 'the dataset; made where it is missing')
  connectionOptions(command)
  return command
    .addOption(
      new Option('-f, --format <format>', 'default: by name, else by content').choices([
        'csv',
        'json',
        'jsonl',
      ]),
    )
    .option('--delimiter <text>', 'between the cells of a CSV file; default: found (\\t is a tab)')
    .option('--no-header', 'the first line of a CSV file is a row; columns become column_1, column_2, ...')
    .addOption(
      new Option('--types <types>', 'columns of a CSV file').choices(['infer', 'text']).default('infer'),
    )
    .option('--path <keys>', 'where the array is in a JSON document, such as data.rows')
    .option(
      '--id <column>',
      'a row replaces the one with the same id; repeat it for several columns',
      collect,
    )
    .option('--batch-rows <n>', 'rows in one request', wholeFrom(1))
    .option('--batch-bytes <n>', 'bytes of one request (default: 3355443)', wholeFrom(1))
    .option('--concurrency <n>', 'requests in flight (default: 4)', wholeFrom(1))
    .option('--limit <n>', 'read so many rows and stop', wholeFrom(0))
    .option('--on-error <what>', 'rejected rows: fail, skip, or a file (JSON lines) to add them to', 'fail')
    .option('--checkpoint <file>', 'keep the position there; the same command goes on from it')
    .option('--summary <file>', 'write the run report there, as JSON')
    .option('--dry-run', 'read and check everything, send nothing')
    .addHelpText(
      'after',
      `
Keys come from INFINO_ACCESS_KEY and INFINO_SECRET_KEY, the address from --endpoint or INFINO_ENDPOINT.
Without an address the rows go into a local Infino in .infino of the working directory.

Exit status: 0 all rows written, 1 it failed, 2 wrong usage, 3 rows were rejected, 4 interrupted,
5 the ledger does not balance.`,
    )
    .action(async (files: string[], flags: LoadFlags) => {
      const { runLoad } = await import('./load-run.js')
      ran(await runLoad(files, flags, signal))
    })
}
