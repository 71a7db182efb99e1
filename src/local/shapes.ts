/**
 * Rows of a load look alike. From a document that was parsed, a pattern is made of its members in their order and of
 * the kinds of value known for each; text that matches is a JSON object that shows nothing new, and is not parsed at
 * all. Whatever does not match is parsed, so a pattern may be too narrow but never too wide.
 */
import { type FieldKinds, plainKinds } from './fields.js'

const MAX_MEMBERS = 64
const MAX_SHAPES = 6
/** Patterns made for this many documents that then seldom matched: the documents do not look alike. */
const MAX_TRIES = 24
const CACHED = 256

const INTEGER = '-?(?:0|[1-9]\\d{0,17})'
/** Digits few enough to be no integer beyond 64 bits. */
const REAL = `${INTEGER}(?:\\.\\d+)?(?:[eE][+-]?\\d{1,2})?`
const TEXT = '"[^"\\\\\\x00-\\x1f]*"'
const DATE = '"\\d{4}-\\d\\d-\\d\\d(?:[T ]\\d\\d:\\d\\d:\\d\\d(?:\\.\\d+)?Z?)?"'

/** Compiled patterns, since every request of a load makes the same ones. */
const cache = new Map<string, RegExp>()

export class Shapes {
  #shapes: RegExp[] = []
  #tries = 0
  #hits = 0

  /** True where the text is a document that needs no parsing. */
  fits(text: string): boolean {
    for (const shape of this.#shapes)
      if (shape.test(text)) {
        this.#hits += 1
        return true
      }
    return false
  }

  /** Takes a document that did not fit and has been observed. */
  learn(document: Readonly<Record<string, unknown>>, kinds: FieldKinds): void {
    if (this.#tries >= MAX_TRIES && this.#hits < this.#tries * 100) {
      this.#shapes = []
      return
    }
    this.#tries += 1
    const pattern = patternOf(document, kinds)
    if (pattern === undefined) return
    this.#shapes.unshift(compiled(pattern))
    if (this.#shapes.length > MAX_SHAPES) this.#shapes.pop()
  }
}

function patternOf(document: Readonly<Record<string, unknown>>, kinds: FieldKinds): string | undefined {
  const names = Object.keys(document)
  if (names.length === 0 || names.length > MAX_MEMBERS) return undefined
  const parts: string[] = []
  for (const name of names) {
    const plain = plainKinds(kinds.get(name) ?? 0)
    if (plain === undefined) return undefined
    const values = ['null']
    if (plain.boolean) values.push('true', 'false')
    if (plain.real) values.push(REAL)
    else if (plain.integer) values.push(INTEGER)
    if (plain.text) values.push(TEXT)
    else if (plain.date) values.push(DATE)
    parts.push(`${escaped(JSON.stringify(name))}: ?(?:${values.join('|')})`)
  }
  return `^\\{${parts.join(', ?')}\\}$`
}

function compiled(pattern: string): RegExp {
  const known = cache.get(pattern)
  if (known !== undefined) return known
  const made = new RegExp(pattern)
  if (cache.size >= CACHED) cache.clear()
  cache.set(pattern, made)
  return made
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
}
