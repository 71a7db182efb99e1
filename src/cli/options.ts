/** Options that several commands share, and readers of their values. */
import { type Command, InvalidArgumentError } from 'commander'

/** Keys are never options: a command line is seen by everybody on the machine, and kept in histories. */
export function connectionOptions(command: Command): Command {
  return command
    .option('--endpoint <url>', 'where Infino is (default: INFINO_ENDPOINT)')
    .option('--local [dir]', 'the local Infino in a directory (default: .infino)')
}

export function wholeFrom(min: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < min)
      throw new InvalidArgumentError(`Expected a whole number from ${min}.`)
    return value
  }
}

export function collect(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value]
}
