/** Which cells fit which type; the same answers as the readers of `csv-types.ts`. */

export const STRING: i32 = 0
export const BIGINT: i32 = 1
export const DOUBLE: i32 = 2
export const BOOLEAN: i32 = 3
export const DATE: i32 = 4
export const TIMESTAMP: i32 = 5

/** Asked about a number whose exponent is so large that it may be infinite or nothing as a double. */
export declare function isDouble(from: i32, to: i32): i32

/** Exponents up to this far from zero keep 64 digits within what a double can hold. */
const SAFE_EXPONENT: i32 = 200

export function fits(type: i32, from: i32, to: i32): bool {
  if (type === BIGINT) return fitsBigint(from, to)
  if (type === DOUBLE) return fitsDouble(from, to)
  if (type === BOOLEAN) return fitsBoolean(from, to)
  if (to - from < 10 || !isDay(from)) return false
  if (to - from === 10) return true
  return type === TIMESTAMP && isTime(from + 10, to)
}

function isDigit(i: i32): bool {
  return <u32>(load<u8>(i) - 48) < 10
}

/** End of the digits from `i`. */
function digitsEnd(i: i32, to: i32): i32 {
  while (i < to && isDigit(i)) i++
  return i
}

/** End of a whole number as JSON writes it, without its sign; 0 where there is none. */
function wholeEnd(i: i32, to: i32): i32 {
  const end = digitsEnd(i, to)
  if (end === i || (load<u8>(i) === 48 && end > i + 1)) return 0
  return end
}

function fitsBigint(from: i32, to: i32): bool {
  if (to - from > 20) return false
  const negative = load<u8>(from) === 45
  const i = from + <i32>negative
  if (wholeEnd(i, to) !== to) return false
  const digits = to - i
  if (negative && digits === 1 && load<u8>(i) === 48) return false
  if (digits < 19) return true
  if (digits > 19) return false
  let value: u64 = 0
  for (let n = i; n < to; n++) value = value * 10 + <u64>(load<u8>(n) - 48)
  return value <= <u64>i64.MAX_VALUE + <u64>negative
}

function fitsDouble(from: i32, to: i32): bool {
  if (to - from > 64) return false
  const whole = from + <i32>(load<u8>(from) === 45)
  let i = wholeEnd(whole, to)
  if (i === 0) return false
  if (i === to) {
    // A double would round a longer whole number.
    if (to - whole < 16) return true
    if (to - whole > 16) return false
    let value: u64 = 0
    for (let n = whole; n < to; n++) value = value * 10 + <u64>(load<u8>(n) - 48)
    return value <= 9007199254740991
  }
  if (load<u8>(i) === 46) {
    const end = digitsEnd(i + 1, to)
    if (end === i + 1) return false
    i = end
    if (i === to) return true
  }
  if ((load<u8>(i) | 32) !== 101 || ++i === to) return false
  if (load<u8>(i) === 45 || load<u8>(i) === 43) i++
  if (i === to || digitsEnd(i, to) !== to) return false
  let exponent = 0
  for (; i < to; i++) {
    exponent = exponent * 10 + (<i32>load<u8>(i) - 48)
    if (exponent > SAFE_EXPONENT) return isDouble(from, to) !== 0
  }
  return true
}

function fitsBoolean(from: i32, to: i32): bool {
  if (to - from === 4) {
    const word = load<u32>(from)
    return word === 0x65757274 || word === 0x65757254 || word === 0x45555254
  }
  if (to - from !== 5) return false
  const word = load<u32>(from)
  const last = load<u8>(from, 4)
  return (
    ((word === 0x736c6166 || word === 0x736c6146) && last === 101) || (word === 0x534c4146 && last === 69)
  )
}

function two(i: i32): i32 {
  return isDigit(i) && isDigit(i + 1) ? (<i32>load<u8>(i) - 48) * 10 + (<i32>load<u8>(i, 1) - 48) : -1
}

/** Ten bytes that are a day of the calendar. */
function isDay(i: i32): bool {
  const century = two(i)
  const decade = two(i + 2)
  const month = two(i + 5)
  const day = two(i + 8)
  if (century < 0 || decade < 0 || load<u8>(i, 4) !== 45 || load<u8>(i, 7) !== 45) return false
  if (month < 1 || month > 12 || day < 1) return false
  if (day <= 28) return true
  if (month === 2) {
    const leap = decade !== 0 ? (decade & 3) === 0 : (century & 3) === 0
    return leap && day === 29
  }
  return day <= (month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31)
}

/** `T10:20`, with seconds, fraction and offset as far as they are there. */
function isTime(from: i32, to: i32): bool {
  let i = from
  if (to - i < 6 || (load<u8>(i) !== 84 && load<u8>(i) !== 32) || load<u8>(i, 3) !== 58) return false
  if (<u32>two(i + 1) > 23 || <u32>two(i + 4) > 59) return false
  i += 6
  if (i < to && load<u8>(i) === 58) {
    if (to - i < 3 || <u32>two(i + 1) > 59) return false
    i += 3
    if (i < to && load<u8>(i) === 46) {
      const end = digitsEnd(i + 1, to)
      if (end === i + 1 || end > i + 10) return false
      i = end
    }
  }
  if (i === to) return true
  const c = load<u8>(i)
  if (c === 90) return i + 1 === to
  if ((c !== 43 && c !== 45) || to - i < 5 || two(i + 1) < 0) return false
  i += 3
  if (load<u8>(i) === 58) i++
  return to - i === 2 && two(i) >= 0
}
