/** Keeps secrets out of whatever people read: by holder, and by value in text. */
import { inspect } from 'node:util'
import { encodePart } from './sigv4.js'

const MASK = '***'
/** Shorter values would be found in ordinary words. */
const MIN_LENGTH = 4
const MAX_CAUSES = 8

/** Holds a secret that shows as `***` wherever it is printed, inspected or serialised. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  /** The value itself, for the one place that sends it. */
  reveal(): string {
    return this.#value
  }

  toString(): string {
    return MASK
  }

  toJSON(): string {
    return MASK
  }

  [inspect.custom](): string {
    return MASK
  }
}

/** Puts `***` in the place of secrets. */
export type Mask = (text: string) => string

/**
 * A mask for these secrets: as they are, URL-encoded, JSON-escaped, and in base64 at any offset, so that a
 * header of basic authentication is covered. Secrets of fewer than 4 characters are not looked for.
 */
export function maskFor(secrets: readonly Secret[]): Mask {
  const needles = new Set<string>()
  for (const secret of secrets) {
    const value = secret.reveal()
    if (value.length < MIN_LENGTH) continue
    needles.add(value)
    needles.add(encodePart(value))
    needles.add(encodeURIComponent(value))
    needles.add(new URLSearchParams([['', value]]).toString().slice(1))
    needles.add(JSON.stringify(value).slice(1, -1))
    for (const needle of base64Forms(value)) if (needle.length >= 2 * MIN_LENGTH) needles.add(needle)
  }
  // The longest first: a shorter form inside a longer one would leave the rest of it behind.
  const ordered = [...needles].sort((a, b) => b.length - a.length)
  return (text) => {
    let masked = text
    for (const needle of ordered) if (masked.includes(needle)) masked = masked.replaceAll(needle, MASK)
    return masked
  }
}

/** Masks messages, stacks and other texts of an error and of its causes, in place. */
export function maskError(error: unknown, mask: Mask): void {
  const queue: unknown[] = [error]
  const seen = new Set<unknown>()
  for (let next = queue.shift(); next !== undefined && seen.size < MAX_CAUSES; next = queue.shift()) {
    if (!(next instanceof Error) || seen.has(next)) continue
    seen.add(next)
    for (const key of Object.getOwnPropertyNames(next)) {
      const value = (next as unknown as Record<string, unknown>)[key]
      if (typeof value !== 'string') continue
      const masked = mask(value)
      if (masked !== value)
        Object.defineProperty(next, key, { value: masked, configurable: true, writable: true })
    }
    queue.push(next.cause)
    if (next instanceof AggregateError) queue.push(...(next.errors as unknown[]))
  }
}

/** The characters of a base64 text that depend on the value alone, for each of the three offsets it may have. */
function base64Forms(value: string): string[] {
  const bytes = Buffer.from(value)
  const forms: string[] = []
  for (let offset = 0; offset < 3; offset++) {
    const padded = Buffer.concat([Buffer.alloc(offset), bytes])
    const start = Math.ceil((offset * 8) / 6)
    const end = Math.floor((padded.length * 8) / 6)
    for (const encoding of ['base64', 'base64url'] as const)
      forms.push(padded.toString(encoding).slice(start, end))
  }
  return forms
}
