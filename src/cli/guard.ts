/** Runs one command: signals, the exit status, and an end that cannot be mistaken for success. */
import { EtlError } from '../errors.js'
import { EXIT, type ExitCode, exitCodeOf } from './exit-codes.js'
import { tell, tellError } from './tell.js'

/**
 * Runs the work and ends the process with the status it gives. The status is a failure until then: a process
 * that runs out of things to wait for ends too, and must not look like success.
 */
export async function guarded(work: (signal: AbortSignal) => Promise<ExitCode>): Promise<void> {
  process.exitCode = EXIT.fatal
  const stop = new AbortController()
  const onSignal = (name: NodeJS.Signals) => {
    if (stop.signal.aborted) process.exit(EXIT.interrupted)
    stop.abort(new EtlError('ETL_ABORTED', `stopped by ${name}`))
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  process.on('beforeExit', () => {
    tell(
      'error: the program ran out of work before it was done: what it waits for can never come [ETL_CLI_STUCK]',
    )
    process.exit(EXIT.fatal)
  })
  process.on('uncaughtException', (error) => {
    tellError(error)
    process.exit(EXIT.fatal)
  })
  // Nobody reads the messages any more: no reason to stop a load.
  process.stderr.on('error', () => {})
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // The reader has seen enough.
    if (error.code === 'EPIPE') process.exit(EXIT.done)
    tellError(new EtlError('ETL_CLI_OUTPUT', `standard output cannot be written: ${error.message}`))
    process.exit(EXIT.fatal)
  })
  let code: ExitCode
  try {
    code = await work(stop.signal)
  } catch (error) {
    tellError(error)
    code = exitCodeOf(error)
  }
  // Pipes are written in the background on some systems.
  await Promise.all([flushed(process.stdout), flushed(process.stderr)])
  // Not left to the event loop: an open standard input would hold the process.
  process.exit(code)
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()))
}
