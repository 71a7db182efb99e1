/** The lines of bytes that hold JSON, one value per line. */
import { isUtf8 } from 'node:buffer'

export interface Lines {
  /** The next line that is not blank, without the white space around it. */
  next(): string | undefined
  number(): number
  /** Whether the last line given was not UTF-8. */
  broken(): boolean
}

/** `before` is the number of lines that came before these bytes. */
export function linesOf(body: Buffer, before = 0): Lines {
  const valid = isUtf8(body)
  // As Latin-1 every byte stays apart, so a line that is not UTF-8 can be told from its neighbours.
  const text = body.toString(valid ? 'utf8' : 'latin1')
  let at = text.charCodeAt(0) === 0xfeff ? 1 : 0
  let number = before
  let broken = false
  return {
    next() {
      while (at < text.length) {
        let end = text.indexOf('\n', at)
        if (end < 0) end = text.length
        const line = trim(text, at, end)
        at = end + 1
        number += 1
        if (line === '') continue
        if (valid) return line
        const bytes = Buffer.from(line, 'latin1')
        broken = !isUtf8(bytes)
        return bytes.toString('utf8')
      }
      return undefined
    },
    number: () => number,
    broken: () => broken,
  }
}

/** JSON's own white space only: other spaces around a value make it no JSON. */
function trim(text: string, from: number, to: number): string {
  let start = from
  let end = to
  while (start < end && isSpace(text.charCodeAt(start))) start += 1
  while (end > start && isSpace(text.charCodeAt(end - 1))) end -= 1
  return text.slice(start, end)
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09 || code === 0x0d
}
