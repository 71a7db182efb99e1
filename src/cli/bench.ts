/** `infino-etl bench`: its arguments. What it does is in `bench-run.ts`. */
import { Command, Option } from 'commander'
import type { ExitCode } from './exit-codes.js'
import { connectionOptions, wholeFrom } from './options.js'

export interface BenchFlags {
  readonly to?: string
  readonly endpoint?: string
  readonly local?: string | true
  readonly format?: 'csv' | 'json' | 'jsonl'
  readonly map?: string
  readonly limit: number
  readonly json?: boolean
}

export function benchCommand(signal: AbortSignal, ran: (code: ExitCode) => void): Command {
  const command = new Command('bench')
    .description('Measure each stage of a load on your own data, and name the slowest')
    .argument('<input>', 'a file, or an http address that is downloaded first')
    .option('-t, --to <dataset>', 'send the rows as well, into this dataset; default: nowhere')
  connectionOptions(command)
  return command
    .addOption(
      new Option('-f, --format <format>', 'default: by name, else by content').choices([
        'csv',
        'json',
        'jsonl',
      ]),
    )
    .option('--map <module>', 'a module whose default export makes a row of a row')
    .option('--limit <n>', 'rows to measure with', wholeFrom(1), 1_000_000)
    .option('--json', 'JSON also on a terminal')
    .action(async (input: string, flags: BenchFlags) => {
      const { runBench } = await import('./bench-run.js')
      ran(await runBench(input, flags, signal))
    })
}
