#!/usr/bin/env node
/** The command line. What a command needs is loaded when it runs, so that `--help` and `--version` are quick. */
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { benchCommand } from './bench.js'
import { datasetsCommand } from './datasets.js'
import { EXIT, exitCodeOf } from './exit-codes.js'
import { guarded } from './guard.js'
import { loadCommand } from './load.js'
import { serveCommand } from './serve.js'
import { sqlCommand } from './sql.js'
import { keepSecret, oneLine } from './tell.js'

keepSecret(process.env.INFINO_SECRET_KEY)
keepSecret(process.env.INFINO_ACCESS_KEY)

void guarded(async (signal) => {
  const program = new Command('infino-etl')
    .description('Loads files into Infino datasets, with every row accounted for.')
    .version(version(), '-V, --version')
    .showHelpAfterError('(infino-etl --help, infino-etl <command> --help)')
    .configureOutput({
      // Commander quotes an unknown option whole, with the value behind the equals sign.
      outputError: (text, write) =>
        write(`${oneLine(text.trimEnd().replace(/(--[\w-]+)=[^\s']*/g, '$1=...'))}\n`),
    })
    .exitOverride()
  let code: number = EXIT.done
  const ran = (done: number) => {
    code = done
  }
  for (const make of [loadCommand, sqlCommand, datasetsCommand, serveCommand, benchCommand]) {
    program.addCommand(make(signal, ran).copyInheritedSettings(program))
  }
  try {
    await program.parseAsync()
  } catch (error) {
    // Commander has said what was wrong.
    if (error instanceof CommanderError) return exitCodeOf(error)
    throw error
  }
  return code as (typeof EXIT)[keyof typeof EXIT]
})

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
