/** Lines for people, on stderr: one line each, without secrets and without what a terminal would obey. */
import { describePosition, isEtlError, messageOf } from '../errors.js'
import { maskFor, Secret } from '../http/redact.js'

const MAX_LINE = 2000

const secrets: Secret[] = []
let mask = maskFor([])

/** From now on this value is shown as `***`. */
export function keepSecret(value: string | undefined): void {
  if (value === undefined || value === '') return
  secrets.push(new Secret(value))
  mask = maskFor(secrets)
}

/** Takes secrets out of a text. */
export function masked(text: string): string {
  return mask(text)
}

export function tell(line: string): void {
  process.stderr.write(`${oneLine(mask(line))}\n`)
}

/** The message with its place and code; the stack as well where `INFINO_ETL_DEBUG` is set. */
export function tellError(error: unknown): void {
  const code = isEtlError(error) ? ` [${error.code}]` : ''
  tell(`error: ${messageOf(error)}${missingPlace(error)}${code}`)
  if (process.env.INFINO_ETL_DEBUG && error instanceof Error) {
    for (let cause: unknown = error, depth = 0; cause instanceof Error && depth < 5; depth++) {
      process.stderr.write(`${mask(cause.stack ?? cause.message)}\n`)
      cause = cause.cause
    }
  }
}

/** What the error knows about its place and its message does not say. */
function missingPlace(error: unknown): string {
  if (!isEtlError(error)) return ''
  const { file, row, line, byte } = error.context
  const { message } = error
  const parts = {
    ...(file !== undefined && !message.includes(file) ? { file } : {}),
    ...(row !== undefined && !message.includes(`row ${row}`) ? { row } : {}),
    ...(line !== undefined && !message.includes(`line ${line}`) ? { line } : {}),
    ...(byte !== undefined && !message.includes(`byte ${byte}`) ? { byte } : {}),
  }
  return describePosition(parts)
}

/** Text from a file or a server may hold line breaks and escape sequences. */
export function oneLine(text: string): string {
  const flat = text
    .replace(/\s*[\r\n]+\s*/g, ' ')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what has to go
    .replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)
  return flat.length > MAX_LINE ? `${flat.slice(0, MAX_LINE - 3)}...` : flat
}
