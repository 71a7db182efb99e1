/** Says where text stops being JSON; `JSON.parse` does not always tell. Used after a failure only. */

export interface JsonFault {
  /** Index of the first character that cannot stand there; the length of the text where it ends too early. */
  readonly at: number
  readonly expected: string
}

const LITERALS = ['true', 'false', 'null']
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y

type Expecting = 'value' | 'value or ]' | 'key' | 'key or }' | 'colon' | 'comma' | 'end'

/** The first fault of a text that should hold one JSON value, or nothing. */
export function findJsonFault(text: string): JsonFault | undefined {
  const open: ('{' | '[')[] = []
  let expecting: Expecting = 'value'
  let at = 0
  const after = (): Expecting => (open.length === 0 ? 'end' : 'comma')
  for (;;) {
    while (at < text.length && ' \n\r\t'.includes(text.charAt(at))) at++
    if (at >= text.length)
      return expecting === 'end' ? undefined : { at, expected: describe(expecting, open) }
    const char = text.charAt(at)
    if (expecting === 'end') return { at, expected: 'the end of the value' }
    if (expecting === 'colon') {
      if (char !== ':') return { at, expected: '":"' }
      at++
      expecting = 'value'
    } else if (expecting === 'comma') {
      const closing = open.at(-1) === '{' ? '}' : ']'
      if (char !== ',' && char !== closing) return { at, expected: describe(expecting, open) }
      at++
      if (char === ',') expecting = open.at(-1) === '{' ? 'key' : 'value'
      else {
        open.pop()
        expecting = after()
      }
    } else if (char === '}' && expecting === 'key or }') {
      at++
      open.pop()
      expecting = after()
    } else if (char === ']' && expecting === 'value or ]') {
      at++
      open.pop()
      expecting = after()
    } else if (char === '"') {
      const string = readString(text, at)
      if (string.fault !== undefined) return string.fault
      at = string.end
      expecting = expecting.startsWith('key') ? 'colon' : after()
    } else if (expecting.startsWith('key')) {
      return { at, expected: describe(expecting, open) }
    } else if (char === '{' || char === '[') {
      open.push(char)
      at++
      expecting = char === '{' ? 'key or }' : 'value or ]'
    } else {
      const end = readScalar(text, at)
      if (end === -1) return { at, expected: describe(expecting, open) }
      at = end
      expecting = after()
    }
  }
}

function describe(expecting: Expecting, open: readonly string[]): string {
  if (expecting === 'comma') return open.at(-1) === '{' ? '"," or "}"' : '"," or "]"'
  if (expecting === 'key') return 'a key in quotes'
  if (expecting === 'key or }') return 'a key in quotes or "}"'
  return expecting === 'value or ]' ? 'a value or "]"' : expecting === 'colon' ? '":"' : 'a value'
}

function readScalar(text: string, at: number): number {
  for (const literal of LITERALS) if (text.startsWith(literal, at)) return at + literal.length
  NUMBER.lastIndex = at
  return NUMBER.test(text) ? NUMBER.lastIndex : -1
}

function readString(text: string, start: number): { end: number; fault?: JsonFault } {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 0x22) return { end: at + 1 }
    if (code < 0x20) return { end: at, fault: { at, expected: 'no raw control character in a string' } }
    if (code !== 0x5c) continue
    const known = /^\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/.exec(text.slice(at, at + 6))
    if (known === null) return { end: at, fault: { at, expected: 'a known escape' } }
    at += known[0].length - 1
  }
  return { end: text.length, fault: { at: text.length, expected: 'the closing quote of a string' } }
}
