/**
 * Counts the items of an upload's answer without making objects of them, some four times faster than parsing.
 * It vouches for the usual answer only: compact JSON, `"errors":false`, each item an action with a flat outcome
 * that has no `error` and no status but 2xx. Whatever else comes is left to the parser.
 */

const NUMBER = /-?(?:0|[1-9]\d*)/.source
/** Bounded, since an expression notes its way back at every character; longer ones go to the parser. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON text may not hold them
const STRING = /"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})){0,1024}"/.source
const KEY = /"(?!error")(?!status":(?!2\d\d[,}]))[a-zA-Z_]+"/.source
const COUNTS = `\\{(?:"[a-z]+":${NUMBER}(?:,(?=")|(?=\\})))*\\}`
const MEMBER = `${KEY}:(?:${STRING}|${NUMBER}|true|false|null|${COUNTS})(?:,(?=")|(?=\\}))`

const HEAD = /\{(?:"took":\d{1,15},|"errors":false,)*"items":\[/y
const ITEM = new RegExp(`\\{"(?:index|create|update|delete)":\\{(?:${MEMBER})+\\}\\}`, 'y')
const TAIL = /\](?:,"took":\d{1,15}|,"errors":false)*\}$/y
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
