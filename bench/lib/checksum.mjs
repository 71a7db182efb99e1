// A checksum over rows that does not depend on their order, nor on how a contender spells absence.

export class Checksum {
  rows = 0
  low = 0
  high = 0

  row(row) {
    this.text(canonical(row))
  }

  /** Adds a row by its canonical text. */
  text(text) {
    let a = 0xdeadbeef
    let b = 0x41c6ce57
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      a = Math.imul(a ^ code, 0x9e3779b1)
      b = Math.imul(b ^ code, 0x5f356495)
    }
    a = Math.imul(a ^ (a >>> 16), 0x85ebca6b) ^ Math.imul(b ^ (b >>> 13), 0xc2b2ae35)
    b = Math.imul(b ^ (b >>> 16), 0x85ebca6b) ^ Math.imul(a ^ (a >>> 13), 0xc2b2ae35)
    this.rows++
    this.low = (this.low + (a >>> 0)) >>> 0
    this.high = (this.high + (b >>> 0)) >>> 0
  }

  /** As if every row had come so many times. */
  times(count) {
    const sum = new Checksum()
    sum.rows = this.rows * count
    sum.low = Number((BigInt(this.low) * BigInt(count)) & 0xffffffffn)
    sum.high = Number((BigInt(this.high) * BigInt(count)) & 0xffffffffn)
    return sum
  }

  toString() {
    const hex = (value) => value.toString(16).padStart(8, '0')
    return hex(this.high) + hex(this.low)
  }
}

// Occurs in no generated value.
const SEPARATOR = '\u0001'

/** Column names and values with their types; `null`, `undefined` and the empty text are one and the same. */
export function canonical(row) {
  let text = ''
  for (const key in row) {
    const value = row[key]
    text += key
    text += value === null || value === undefined || value === '' ? '=' : `=${spelled(value)}`
    text += SEPARATOR
  }
  return text
}

function spelled(value) {
  if (typeof value === 'string') return `s${value}`
  if (typeof value === 'number' || typeof value === 'bigint') return `n${value}`
  if (typeof value === 'boolean') return value ? 't' : 'f'
  return `o${JSON.stringify(value)}`
}

/** The same of the row as CSV text gives it: every value is a string. */
export function canonicalText(row) {
  let text = ''
  for (const key in row) {
    const value = row[key]
    text += key
    text += value === null || value === '' ? '=' : `=s${value}`
    text += SEPARATOR
  }
  return text
}
