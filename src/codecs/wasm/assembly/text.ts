/** Writing text as JSON. */

function digit(value: i32): u32 {
  return value < 10 ? 48 + value : 87 + value
}

/** Writes one byte that JSON wants escaped, and returns the new end. At most six bytes. */
export function putEscaped(c: i32, o: i32): i32 {
  let short = 0
  if (c === 34 || c === 92) short = c
  else if (c === 10) short = 110
  else if (c === 13) short = 114
  else if (c === 9) short = 116
  else if (c === 8) short = 98
  else if (c === 12) short = 102
  if (short !== 0) {
    store<u16>(o, <u16>(92 | (short << 8)))
    return o + 2
  }
  store<u32>(o, 0x3030755c)
  store<u16>(o, <u16>(digit(c >> 4) | (digit(c & 15) << 8)), 4)
  return o + 6
}

/** Writes text in quotes; two of `quote` are one. Returns the new end, or 0 when there is no room. */
export function putQuoted(from: i32, to: i32, quote: i32, o: i32, room: i32): i32 {
  store<u8>(o++, 34)
  for (let i = from; i < to; i++) {
    if (o > room) return 0
    const c = <i32>load<u8>(i)
    if (c === 34 || c === 92 || c < 32) o = putEscaped(c, o)
    else store<u8>(o++, c)
    if (c === quote) i++
  }
  store<u8>(o++, 34)
  return o
}
