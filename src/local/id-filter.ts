/**
 * Which ids a dataset may hold already. "No" is certain, so that a load of new rows never looks into the table;
 * "maybe" is asked of the table. About 6 to 10 bytes per id.
 *
 * A chain of growing hash tables of 32-bit tags, open addressing: a full table stays as it is and a larger one
 * follows, so growing costs nothing but the new table.
 */
const FIRST_SLOTS = 2 ** 16
const LARGEST_SLOTS = 2 ** 24
const FULL = 0.75
/** Beyond so many ids every answer is "maybe", and the filter takes no more memory. */
const MAX_IDS = 2 ** 25

export class IdFilter {
  #tables: Uint32Array[] = [new Uint32Array(FIRST_SLOTS)]
  #inLast = 0
  #total = 0

  /** Adds an id; false where it is certainly new. */
  add(id: string): boolean {
    if (this.#total >= MAX_IDS) {
      this.#tables = []
      return true
    }
    let a = 0x9e3779b9 | 0
    let b = 0x85ebca6b | 0
    for (let i = 0; i < id.length; i += 1) {
      const code = id.charCodeAt(i)
      a = Math.imul(a ^ code, 0x01000193)
      b = Math.imul(b ^ code, 0x5bd1e995)
    }
    a = mix(a)
    b = mix(b ^ a)
    // 0 marks a free slot.
    const tag = b >>> 0 || 1
    const last = this.#tables.length - 1
    for (let t = 0; t <= last; t += 1) {
      const table = this.#tables[t]!
      const mask = table.length - 1
      let slot = a & mask
      for (let seen = table[slot]!; seen !== 0; slot = (slot + 1) & mask, seen = table[slot]!)
        if (seen === tag) return true
      if (t === last) table[slot] = tag
    }
    this.#total += 1
    this.#inLast += 1
    const size = this.#tables[last]!.length
    if (this.#inLast > size * FULL) {
      this.#tables.push(new Uint32Array(Math.min(size * 2, LARGEST_SLOTS)))
      this.#inLast = 0
    }
    return false
  }
}

function mix(value: number): number {
  let h = value
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d)
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b)
  return h ^ (h >>> 16)
}
