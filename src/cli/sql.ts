/** `infino-etl sql "<query>"` */
import { Command } from 'commander'
import type { ConnectFlags } from './connect.js'
import { EXIT, type ExitCode } from './exit-codes.js'
import { connectionOptions } from './options.js'
import { tell } from './tell.js'

export function sqlCommand(signal: AbortSignal, ran: (code: ExitCode) => void): Command {
  const command = new Command('sql')
    .description('Ask a question in SQL; datasets are tables')
    .argument('<query>', 'one statement')
  connectionOptions(command).option('--json', 'JSON lines also on a terminal')
  return command.action(async (query: string, flags: ConnectFlags & { readonly json?: boolean }) => {
    const { connect } = await import('./connect.js')
    const { writeRows } = await import('./output.js')
    const infino = await connect(flags, false, signal)
    try {
      const { rows, columns, affectedRows } = await infino.client.sql(query, { signal })
      await writeRows(rows, columns, flags.json === true || process.stdout.isTTY !== true)
      if (affectedRows !== undefined && columns.length === 0) tell(`${affectedRows} rows changed`)
    } finally {
      await infino.close()
    }
    ran(EXIT.done)
  })
}
