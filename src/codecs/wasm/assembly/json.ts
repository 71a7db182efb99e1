/**
 * Elements of a JSON array to JSON lines: every element is checked against the grammar and written without the
 * space between its tokens. What is no valid object is left to the caller. An element never grows.
 */
import * as state from './state'

/** The array itself is still to come. */
let opening: bool = false
/** Room for one byte per level, and how many levels an element may have. */
let stack: i32 = 0
let depth: i32 = 0

export function beginJson(arrayAhead: bool, stackAt: i32, levels: i32): void {
  opening = arrayAhead
  stack = stackAt
  depth = levels
}

const LF: i32 = 10
const QUOTE: i32 = 34
const COMMA: i32 = 44
const BACKSLASH: i32 = 92
const OPEN_ARRAY: i32 = 91
const CLOSE_ARRAY: i32 = 93
const OPEN_OBJECT: i32 = 123
const CLOSE_OBJECT: i32 = 125

/** Longest token that has to be seen whole to be judged. */
const TOKEN: i32 = 16

/** Line breaks passed since the last element. */
let breaks: f64 = 0
/** Where a token was written to; 0 where it was none. */
let put: i32 = 0

/** Reads elements up to `end`. */
export function json(end: i32): i32 {
  while (true) {
    if (state.rows === state.capacity) return state.LISTED
    breaks = 0
    let i = pass(state.at)
    const c = <i32>load<u8>(i)
    if (opening) {
      if (c !== OPEN_ARRAY) return i >= end ? state.MORE : state.ODD
    } else if (c !== COMMA) return i >= end ? state.MORE : state.ODD
    i = pass(i + 1)
    if (i >= end) return state.MORE
    if (load<u8>(i) !== OPEN_OBJECT) return state.ODD
    const before = breaks
    const start = i
    if (start - state.at > state.limit) return state.ODD
    i = element(start)
    if (i < 0) return end + i < TOKEN ? state.MORE : state.ODD
    if (i - start > state.limit) return state.ODD
    const line = state.line
    state.setAt(i, line + before)
    state.note(start, put)
    state.setAt(i, line + breaks)
    opening = false
  }
}

/** First byte from `i` on that is no space. */
function pass(i: i32): i32 {
  if (load<u8>(i) > 32) return i
  while (true) {
    const v = v128.load(i)
    const feeds = i8x16.bitmask(i8x16.eq(v, i8x16.splat(<i8>LF)))
    const spaces =
      feeds |
      i8x16.bitmask(
        v128.or(
          i8x16.eq(v, i8x16.splat(32)),
          v128.or(i8x16.eq(v, i8x16.splat(13)), i8x16.eq(v, i8x16.splat(9))),
        ),
      )
    const run = ctz(~spaces)
    if (feeds !== 0) breaks += <f64>popcnt(feeds & ((1 << run) - 1))
    i += run
    if (run < 16) return i
  }
}

/** Writes the object at `from`; returns its end, or minus the place that cannot stand there. */
function element(from: i32): i32 {
  let i = from + 1
  let o = state.out
  let level = 1
  let inArray = false
  store<u8>(stack, 0)
  store<u8>(o++, OPEN_OBJECT)
  i = pass(i)
  let c = <i32>load<u8>(i)
  let empty = true

  while (true) {
    // A member, an item, or the end of what has just been opened.
    if (inArray ? c === CLOSE_ARRAY : c === CLOSE_OBJECT) {
      if (!empty) return -i
    } else {
      if (!inArray) {
        if (c !== QUOTE) return -i
        i = string(i, o)
        if (i < 0) return i
        o = put
        i = pass(i)
        if (load<u8>(i) !== 58) return -i
        store<u8>(o++, 58)
        i = pass(i + 1)
        c = <i32>load<u8>(i)
      }
      if (c === QUOTE) {
        i = string(i, o)
        if (i < 0) return i
        o = put
      } else if (c === OPEN_OBJECT || c === OPEN_ARRAY) {
        if (level === depth) return -i
        inArray = c === OPEN_ARRAY
        store<u8>(stack + level++, <u8>inArray)
        store<u8>(o++, c)
        i = pass(i + 1)
        c = <i32>load<u8>(i)
        empty = true
        continue
      } else {
        i = scalar(i, c, o)
        if (i < 0) return i
        o = put
      }
      i = pass(i)
      c = <i32>load<u8>(i)
    }
    // Behind a value: what is open ends, perhaps several times, or goes on.
    while (c !== COMMA) {
      if (c !== (inArray ? CLOSE_ARRAY : CLOSE_OBJECT)) return -i
      store<u8>(o++, c)
      i++
      if (--level === 0) {
        put = o
        return i
      }
      inArray = load<u8>(stack + level - 1) !== 0
      i = pass(i)
      c = <i32>load<u8>(i)
    }
    store<u8>(o++, COMMA)
    i = pass(i + 1)
    c = <i32>load<u8>(i)
    empty = false
  }
}

/** Copies the text in quotes at `i`. */
function string(i: i32, o: i32): i32 {
  store<u8>(o++, QUOTE)
  i++
  while (true) {
    const v = v128.load(i)
    v128.store(o, v)
    const mask = i8x16.bitmask(
      v128.or(
        v128.or(i8x16.eq(v, i8x16.splat(<i8>QUOTE)), i8x16.eq(v, i8x16.splat(<i8>BACKSLASH))),
        i8x16.lt_u(v, i8x16.splat(32)),
      ),
    )
    if (mask === 0) {
      i += 16
      o += 16
      continue
    }
    const run = ctz(mask)
    i += run
    o += run
    const c = <i32>load<u8>(i)
    if (c === QUOTE) {
      store<u8>(o, QUOTE)
      put = o + 1
      return i + 1
    }
    if (c !== BACKSLASH) return -i
    const next = <i32>load<u8>(i, 1)
    if (next === 117) {
      if (
        !isHex(load<u8>(i, 2)) ||
        !isHex(load<u8>(i, 3)) ||
        !isHex(load<u8>(i, 4)) ||
        !isHex(load<u8>(i, 5))
      )
        return -i
      store<u32>(o, load<u32>(i))
      store<u16>(o, load<u16>(i, 4), 4)
      i += 6
      o += 6
    } else {
      if (
        next !== QUOTE &&
        next !== BACKSLASH &&
        next !== 47 &&
        next !== 98 &&
        next !== 102 &&
        next !== 110 &&
        next !== 114 &&
        next !== 116
      )
        return -i
      store<u16>(o, load<u16>(i))
      i += 2
      o += 2
    }
  }
}

function isHex(c: u8): bool {
  return <u32>(c - 48) < 10 || <u32>((c | 32) - 97) < 6
}

/** Copies the number or word at `i`. */
function scalar(i: i32, c: i32, o: i32): i32 {
  const word = load<u32>(i)
  if (c === 116 || c === 110) {
    if (word !== (c === 116 ? 0x65757274 : 0x6c6c756e)) return -i
    store<u32>(o, word)
    put = o + 4
    return i + 4
  }
  if (c === 102) {
    if (word !== 0x736c6166 || load<u8>(i, 4) !== 101) return -i
    store<u32>(o, word)
    store<u8>(o, 101, 4)
    put = o + 5
    return i + 5
  }
  let end = i + <i32>(c === 45)
  const lead = load<u8>(end)
  const whole = end
  while (isDigit(end)) end++
  if (end === whole || (lead === 48 && end > whole + 1)) return -i
  if (load<u8>(end) === 46) {
    const fraction = ++end
    while (isDigit(end)) end++
    if (end === fraction) return -end
  }
  if ((load<u8>(end) | 32) === 101) {
    end++
    if (load<u8>(end) === 43 || load<u8>(end) === 45) end++
    const exponent = end
    while (isDigit(end)) end++
    if (end === exponent) return -end
  }
  for (let n = i; n < end; n += 16) v128.store(o + n - i, v128.load(n))
  put = o + end - i
  return end
}

function isDigit(i: i32): bool {
  return <u32>(load<u8>(i) - 48) < 10
}
