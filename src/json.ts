/**
 * JSON text that keeps integers: whole numbers beyond 2^53 become `bigint` when parsed and plain digits when
 * written. Text without such a number takes the native way.
 */
import { EtlError } from './errors.js'

/** Nesting beyond this is refused: `JSON.stringify` overflows the stack on what `JSON.parse` accepts. */
export const MAX_DEPTH = 512

const LONG_DIGITS = /[0-9]{16}/

/** Whether bytes hold a run of 16 digits, so that a whole number in them may need an exact reader. */
export function hasLongDigits(bytes: Uint8Array): boolean {
  const { length } = bytes
  // Such a run covers one of any 16 bytes in a row: the others need no look.
  for (let at = LONG - 1; at < length; at += LONG) {
    if (!isDigit(bytes[at] as number)) continue
    let first = at
    while (first > 0 && isDigit(bytes[first - 1] as number)) first--
    let end = at + 1
    while (end < length && isDigit(bytes[end] as number)) end++
    if (end - first >= LONG) return true
  }
  return false
}

const LONG = 16

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}

/** Like `JSON.parse`, with integers outside the safe range as `bigint`. Throws `SyntaxError`. */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text)
  if (!LONG_DIGITS.test(text) || typeof value === 'string') return value
  return new ExactReader(text).read()
}

/**
 * Like `JSON.stringify` for a row, with `bigint` as digits. Throws `ETL_ROW_UNSERIALISABLE` for what JSON cannot
 * hold: cycles and nesting beyond 512.
 */
export function stringifyJson(value: unknown): string {
  try {
    return JSON.stringify(value)
  } catch {
    return writeExact(value, 0)
  }
}

function writeExact(value: unknown, depth: number): string {
  if (depth > MAX_DEPTH) {
    throw new EtlError(
      'ETL_ROW_UNSERIALISABLE',
      `a row nests deeper than ${MAX_DEPTH} levels or contains itself`,
    )
  }
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const toJson = (value as { toJSON?: unknown }).toJSON
  if (typeof toJson === 'function') return writeExact(toJson.call(value), depth + 1)
  if (Array.isArray(value)) {
    return `[${value.map((item) => (isWritable(item) ? writeExact(item, depth + 1) : 'null')).join(',')}]`
  }
  const members: string[] = []
  for (const [key, item] of Object.entries(value)) {
    if (isWritable(item)) members.push(`${JSON.stringify(key)}:${writeExact(item, depth + 1)}`)
  }
  return `{${members.join(',')}}`
}

function isWritable(value: unknown): boolean {
  return value !== undefined && typeof value !== 'function' && typeof value !== 'symbol'
}

/** Reads text that `JSON.parse` has accepted already, so that nothing is checked twice. */
class ExactReader {
  private readonly text: string
  private at = 0

  constructor(text: string) {
    this.text = text
  }

  read(): unknown {
    const code = this.skipSpace()
    if (code === 0x7b) return this.readObject()
    if (code === 0x5b) return this.readArray()
    if (code === 0x22) return this.readString()
    const token = this.readToken()
    if (token === 'true') return true
    if (token === 'false') return false
    if (token === 'null') return null
    const number = Number(token)
    return Number.isSafeInteger(number) || /[.eE]/.test(token) ? number : BigInt(token)
  }

  private skipSpace(): number {
    for (;;) {
      const code = this.text.charCodeAt(this.at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return code
      this.at++
    }
  }

  private readToken(): string {
    const start = this.at
    while (this.at < this.text.length && !' \n\r\t,]}'.includes(this.text.charAt(this.at))) this.at++
    return this.text.slice(start, this.at)
  }

  private readString(): string {
    const start = this.at++
    for (;;) {
      const code = this.text.charCodeAt(this.at++)
      if (code === 0x5c) this.at++
      else if (code === 0x22) return JSON.parse(this.text.slice(start, this.at)) as string
    }
  }

  private readArray(): unknown[] {
    const items: unknown[] = []
    this.at++
    for (;;) {
      const code = this.skipSpace()
      if (code === 0x5d || code === 0x2c) {
        this.at++
        if (code === 0x5d) return items
      } else items.push(this.read())
    }
  }

  private readObject(): Record<string, unknown> {
    const object: Record<string, unknown> = {}
    this.at++
    for (;;) {
      const code = this.skipSpace()
      if (code === 0x7d || code === 0x2c) {
        this.at++
        if (code === 0x7d) return object
        continue
      }
      const key = this.readString()
      this.skipSpace()
      this.at++
      const value = this.read()
      if (key === '__proto__') {
        Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
      } else object[key] = value
    }
  }
}
