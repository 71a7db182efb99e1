/** Records of a bulk upload: before every row an action line with an id that ends in a number. */

/** Where the last call stopped writing. */
export let bulkEnd: i32 = 0

/** The most digits a number has that a double holds exactly. */
const MAX_DIGITS: i32 = 16

/**
 * Writes `<head><ordinal>"}}`, a line break, the row and a line break, until the output is full; returns how many
 * rows. `rows`: starts, then ends, of `count` rows as addresses; replaced by where rows start and records end
 * behind `output`. Behind `head` there are 48 bytes of room.
 */
export function bulk(
  rows: i32,
  count: i32,
  head: i32,
  headLength: i32,
  ordinal: f64,
  output: i32,
  outputEnd: i32,
): i32 {
  const ends = rows + (count << 2)
  const number = head + headLength
  let digits = 0
  let rest = <u64>ordinal
  do {
    digits++
    rest /= 10
  } while (rest > 0)
  rest = <u64>ordinal
  for (let n = digits - 1; n >= 0; n--) {
    store<u8>(number + n, 48 + <i32>(rest % 10))
    rest /= 10
  }
  let o = output
  for (let i = 0; i < count; i++) {
    const entry = i << 2
    const from = load<i32>(rows + entry)
    const length = load<i32>(ends + entry) - from
    const line = headLength + digits
    if (o + line + 5 + length > outputEnd) {
      bulkEnd = o
      return i
    }
    for (let n = 0; n < line; n += 16) v128.store(o + n, v128.load(head + n))
    o += line
    store<u32>(o, 0x0a7d7d22)
    o += 4
    store<i32>(rows + entry, o - output)
    for (let n = 0; n < length; n += 16) v128.store(o + n, v128.load(from + n))
    o += length
    store<u8>(o++, 10)
    store<i32>(ends + entry, o - output)
    let n = digits - 1
    while (n >= 0 && load<u8>(number + n) === 57) store<u8>(number + n--, 48)
    if (n >= 0) store<u8>(number + n, load<u8>(number + n) + 1)
    else if (digits < MAX_DIGITS) {
      store<u8>(number, 49)
      store<u8>(number + digits++, 48)
    }
  }
  bulkEnd = o
  return count
}
