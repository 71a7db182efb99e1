/**
 * Finds the elements of a JSON array in bytes that come in pieces: strings, escapes and depth are followed, and
 * nothing else, so that an element can be given whole to a parser that judges it. Each byte is looked at once.
 */
import { MAX_DEPTH } from '../json.js'

const LF = 10
const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const BACKSLASH = 0x5c
const CLOSE_ARRAY = 0x5d
const CLOSE_OBJECT = 0x7d

const STRING = 1
const OPEN = 2
const CLOSE = 3
const BREAK = 4

/** What a byte outside strings means for the borders of an element. */
const MEANING = new Uint8Array(256)
MEANING[QUOTE] = STRING
for (const byte of Buffer.from('{[')) MEANING[byte] = OPEN
for (const byte of Buffer.from('}]')) MEANING[byte] = CLOSE
for (const byte of Buffer.from('\n\r')) MEANING[byte] = BREAK

/** What cannot be in a number or a word. */
const ENDS_WORD = new Uint8Array(256)
for (const byte of Buffer.from('\n\r\t {}[]:,"')) ENDS_WORD[byte] = 1

/** Elements in the order of the bytes, one entry in each list. */
export class FoundElements {
  readonly starts: number[] = []
  readonly ends: number[] = []
  readonly lines: number[] = []
  readonly endLines: number[] = []
  /** Those that nest deeper than a row may, by index, with their depth. */
  readonly deep = new Map<number, number>()
  /** One of them has a line break inside. */
  broken = false
}

export class ElementScan {
  /** Line of the next byte. */
  line: number
  /** Line on which the element began that is open. */
  openLine = 0
  /** An element has begun whose end has not come. */
  open = false
  /** The array has ended. */
  closed = false
  /** What was expected in the place of the byte that the last scan stopped at. */
  expected: string | undefined
  private next: 'value or end' | 'value' | 'comma or end'
  private depth = 0
  private deepest = 0
  private breaks = false
  private inString = false
  private inWord = false
  private escaped = false

  /** `behind`: the first byte comes behind an element, otherwise behind the opening bracket. */
  constructor(line: number, behind: boolean) {
    this.line = line
    this.next = behind ? 'comma or end' : 'value or end'
  }

  /**
   * Adds each element that begins and ends within the bytes, from `from` on, where none is open. Gives the offset
   * where reading goes on: behind the array, at a byte that cannot stand there, at an element that is open now, or
   * behind the bytes.
   */
  scan(bytes: Uint8Array, from: number, found: FoundElements): number {
    let at = from
    for (;;) {
      const start = this.between(bytes, at)
      if (!this.open) return start
      at = this.rest(bytes, start)
      if (at === -1) return start
      this.add(start, at, found)
    }
  }

  /** Adds the element that was open. */
  add(start: number, end: number, found: FoundElements): void {
    this.open = false
    this.next = 'comma or end'
    if (this.deepest > MAX_DEPTH) found.deep.set(found.starts.length, this.deepest)
    found.starts.push(start)
    found.ends.push(end)
    found.lines.push(this.openLine)
    found.endLines.push(this.line)
    found.broken ||= this.breaks
  }

  /** Passes over what is between elements. */
  private between(bytes: Uint8Array, from: number): number {
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at] as number
      if (byte === LF) this.line++
      if (byte === 0x20 || byte === LF || byte === 0x0d || byte === 0x09) continue
      if (byte === COMMA) {
        if (this.next !== 'comma or end') return this.wrong('a value', at)
        this.next = 'value'
      } else if (byte === CLOSE_ARRAY) {
        if (this.next === 'value') return this.wrong('a value after ","', at)
        this.closed = true
        return at + 1
      } else if (this.next === 'comma or end') return this.wrong('"," or "]"', at)
      else if (byte === CLOSE_OBJECT || byte === COLON) return this.wrong('a value', at)
      else {
        this.open = true
        this.openLine = this.line
        this.deepest = 0
        this.breaks = false
        this.inWord = MEANING[byte] === 0
        return at
      }
    }
    return bytes.length
  }

  private wrong(expected: string, at: number): number {
    this.expected = expected
    return at
  }

  /** The byte behind the open element, which goes on at `from`; -1 where it does not end within the bytes. */
  rest(bytes: Uint8Array, from: number): number {
    const { length } = bytes
    let at = from
    if (this.inWord) {
      while (at < length && ENDS_WORD[bytes[at] as number] === 0) at++
      return at < length ? at : -1
    }
    let { depth, inString } = this
    this.depth = 0
    this.inString = false
    if (this.escaped && at < length) {
      this.escaped = false
      at++
    }
    for (; at < length; at++) {
      if (inString) {
        let byte = bytes[at]
        while (byte !== QUOTE && at < length) {
          if (byte === BACKSLASH) at++
          byte = bytes[++at]
        }
        if (at >= length) {
          this.escaped = at > length
          break
        }
        inString = false
        if (depth === 0) return at + 1
        continue
      }
      const meaning = MEANING[bytes[at] as number]
      if (meaning === 0) continue
      if (meaning === STRING) inString = true
      else if (meaning === OPEN) {
        if (++depth > this.deepest) this.deepest = depth
      } else if (meaning === CLOSE) {
        if (--depth === 0) return at + 1
      } else {
        this.breaks = true
        if (bytes[at] === LF) this.line++
      }
    }
    this.depth = depth
    this.inString = inString
    return -1
  }
}

/** The same elements in bytes of their own without their line breaks, and without the white space behind those. */
export function withoutBreaks(
  bytes: Uint8Array,
  starts: readonly number[],
  ends: readonly number[],
): { bytes: Uint8Array; starts: number[]; ends: number[] } {
  const first = starts[0] ?? 0
  const out = Buffer.allocUnsafeSlow((ends.at(-1) ?? first) - first)
  const newStarts: number[] = []
  const newEnds: number[] = []
  let to = 0
  for (let i = 0; i < starts.length; i++) {
    newStarts.push(to)
    const end = ends[i] as number
    for (let at = starts[i] as number; at < end; at++) {
      let byte = bytes[at] as number
      // Inside a string of valid JSON there is no raw line break.
      if (byte === LF || byte === 0x0d) {
        while (byte === 0x20 || byte === 0x09 || byte === LF || byte === 0x0d) byte = bytes[++at] as number
      }
      out[to++] = byte
    }
    newEnds.push(to)
  }
  return { bytes: out.subarray(0, to), starts: newStarts, ends: newEnds }
}
