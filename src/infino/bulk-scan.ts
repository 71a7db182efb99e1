/**
 * Counts the items of an upload's answer without making objects of them, some three times faster than parsing.
 * It vouches for the usual answer only: compact JSON, `"errors":false`, each item an action with a flat outcome
 * that has no `error` and no status but 2xx. Whatever else comes is left to the parser.
 */

// Every repetition is bounded, since an expression notes its way back at each step; what is longer goes to the parser.
const NUMBER = /-?(?:0|[1-9]\d{0,18})/.source
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON text may not hold them
const STRING = /"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})){0,1024}"/.source
const KEY = /"(?!error")(?!status":(?!2\d\d[,}]))[a-zA-Z_]{1,64}"/.source
const COUNTS = `\\{(?:"[a-z]{1,64}":${NUMBER}(?:,(?=")|(?=\\}))){0,16}\\}`
const MEMBER = `${KEY}:(?:${STRING}|${NUMBER}|true|false|null|${COUNTS})(?:,(?=")|(?=\\}))`

const HEAD = /\{(?:"took":(?:0|[1-9]\d{0,14}),|"errors":false,){0,3}"items":\[/y
const ITEM = new RegExp(`\\{"(?:index|create|update|delete)":\\{(?:${MEMBER}){1,64}\\}\\}`, 'y')
const TAIL = /\](?:,"took":(?:0|[1-9]\d{0,14})|,"errors":false){0,3}\}$/y
const COMMA = 0x2c

/** How many items succeeded, where all did; undefined where that takes a closer look. */
export function countSucceeded(body: Buffer): number | undefined {
  // One byte a character: what lies beyond ASCII matters only inside strings, where anything goes.
  const text = body.toString('latin1')
  let at = end(HEAD, text, 0)
  if (at < 0) return undefined
  let items = 0
  const first = at
  for (;;) {
    const after = end(ITEM, text, at)
    if (after < 0) return undefined
    items++
    at = after
    if (text.charCodeAt(at) !== COMMA) break
    at++
  }
  if (end(TAIL, text, at) !== text.length) return undefined
  const around = text.slice(0, first) + text.slice(at)
  return around.includes('"errors":false') ? items : undefined
}

function end(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : -1
}
