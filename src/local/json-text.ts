/** Looking into JSON text without losing a digit of it. The text has passed `JSON.parse`: nothing is checked again. */

/** Objects nested deeper than this are taken as one value. */
export const MAX_DEPTH = 64

/** The members of an object: name to the exact text of the value. A name given twice keeps its last value, as in `JSON.parse`. */
export function members(text: string): Map<string, string> {
  const found = new Map<string, string>()
  let at = skipSpace(text, 0) + 1
  for (;;) {
    at = skipSpace(text, at)
    if (text[at] === '}') return found
    if (text[at] === ',') {
      at += 1
      continue
    }
    const keyEnd = endOfString(text, at)
    const key = JSON.parse(text.slice(at, keyEnd)) as string
    at = skipSpace(text, skipSpace(text, keyEnd) + 1)
    const end = endOfValue(text, at)
    found.set(key, text.slice(at, end))
    at = end
  }
}

export function objectText(entries: Iterable<readonly [string, string]>): string {
  const parts: string[] = []
  for (const [key, value] of entries) parts.push(`${JSON.stringify(key)}:${value}`)
  return `{${parts.join(',')}}`
}

/** Lays a partial document over a document: objects merge, everything else replaces; untouched values keep their text. */
export function mergeObjects(base: string, patch: string, depth = 0): string {
  const merged = members(base)
  for (const [key, value] of members(patch)) {
    const old = merged.get(key)
    const both = old?.[0] === '{' && value[0] === '{' && depth < MAX_DEPTH
    merged.set(key, both ? mergeObjects(old, value, depth + 1) : value)
  }
  return objectText(merged)
}

function skipSpace(text: string, from: number): number {
  let at = from
  while (at < text.length && text.charCodeAt(at) <= 0x20) at += 1
  return at
}

/** The end of the string whose opening quote stands at `from`. */
function endOfString(text: string, from: number): number {
  let at = from + 1
  for (;;) {
    const code = text.charCodeAt(at)
    if (code === 0x22) return at + 1
    at += code === 0x5c ? 2 : 1
  }
}

function endOfValue(text: string, from: number): number {
  const first = text.charCodeAt(from)
  if (first === 0x22) return endOfString(text, from)
  let at = from
  if (first !== 0x7b && first !== 0x5b) {
    while (at < text.length && !',}] \t\r\n'.includes(text[at]!)) at += 1
    return at
  }
  let depth = 0
  for (;;) {
    const code = text.charCodeAt(at)
    if (code === 0x22) {
      at = endOfString(text, at)
      continue
    }
    if (code === 0x7b || code === 0x5b) depth += 1
    else if (code === 0x7d || code === 0x5d) {
      depth -= 1
      if (depth === 0) return at + 1
    }
    at += 1
  }
}
