/** `infino-etl datasets` */
import { Command } from 'commander'
import type { Row } from '../contracts.js'
import type { ConnectFlags } from './connect.js'
import { EXIT, type ExitCode } from './exit-codes.js'
import { connectionOptions } from './options.js'

export function datasetsCommand(signal: AbortSignal, ran: (code: ExitCode) => void): Command {
  const command = new Command('datasets').description('List the datasets')
  connectionOptions(command).option('--json', 'JSON lines also on a terminal')
  return command.action(async (flags: ConnectFlags & { readonly json?: boolean }) => {
    const { connect } = await import('./connect.js')
    const { writeRows } = await import('./output.js')
    const infino = await connect(flags, false, signal)
    try {
      const found = await infino.client.datasets.list({ signal })
      const rows = found.map(
        (item): Row => (typeof item === 'object' && item !== null ? { ...item } : { dataset: item }),
      )
      const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))]
      await writeRows(rows, columns, flags.json === true || process.stdout.isTTY !== true)
    } finally {
      await infino.close()
    }
    ran(EXIT.done)
  })
}
