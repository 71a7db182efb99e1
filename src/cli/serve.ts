/** `infino-etl serve`: a local Infino that stays. */
import { once } from 'node:events'
import { Command, Option } from 'commander'
import { EXIT, type ExitCode } from './exit-codes.js'
import { wholeFrom } from './options.js'
import { tell } from './tell.js'

interface ServeFlags {
  readonly dir: string
  readonly port: number
  readonly host: string
}

export function serveCommand(signal: AbortSignal, ran: (code: ExitCode) => void): Command {
  return new Command('serve')
    .description('Run a local Infino, and print what to export to reach it')
    .option('--dir <dir>', 'where the datasets are kept', '.infino')
    .addOption(new Option('--port <n>', '0: a free one').default(0).argParser(wholeFrom(0)))
    .option('--host <name>', 'the address to listen on', '127.0.0.1')
    .action(async ({ dir, port, host }: ServeFlags) => {
      const { startLocalInfino } = await import('../local/index.js')
      const { announceServer, withdrawServer } = await import('./connect.js')
      const infino = await startLocalInfino({ dir, port, host })
      try {
        announceServer(dir, infino.url)
        // The one place that prints keys: they are those of this directory, and asked for.
        process.stdout.write(
          [
            `export INFINO_ENDPOINT=${infino.url}`,
            `export INFINO_ACCESS_KEY=${infino.accessKey}`,
            `export INFINO_SECRET_KEY=${infino.secretKey}`,
            '',
          ].join('\n'),
        )
        tell(`serving ${dir} at ${infino.url}; stop with Ctrl-C`)
        if (!signal.aborted) await once(signal, 'abort')
      } finally {
        withdrawServer(dir)
        await infino.close()
      }
      ran(EXIT.done)
    })
}
