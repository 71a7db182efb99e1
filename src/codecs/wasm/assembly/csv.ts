/**
 * CSV records to JSON lines. Whatever is not a plain record is left to the caller: nothing here makes a message.
 * Cells are written while they are read; a record that does not end within the input leaves no trace.
 */
import { BOOLEAN, DOUBLE, fits, STRING } from './cells'
import * as state from './state'
import { putEscaped, putQuoted } from './text'

/** Bytes of the dialect; 255: no quote. */
let delimiter: i32 = 44
let quote: i32 = 34
/** Columns that every record has, and names in the table. */
let width: i32 = 0
let named: i32 = 0
/** The first record is no row. */
export let header: bool = false
/** Records of another length are filled up. */
let fill: bool = false
/** A cell that does not fit its type refuses its record. */
let strict: bool = false
/** Per name 16 bytes: address and length of `{"name":` or `,"name":`, type, cells that did not fit. */
let table: i32 = 0
/** Room for one number per column: the cells of the current record that do not fit. */
let drifting: i32 = 0

export function beginCsv(
  delimiterByte: i32,
  quoteByte: i32,
  columns: i32,
  names: i32,
  headerAhead: bool,
  filling: bool,
  isStrict: bool,
  tableAt: i32,
  driftingAt: i32,
): void {
  delimiter = delimiterByte
  quote = quoteByte
  width = columns
  named = names
  header = headerAhead
  fill = filling
  strict = isStrict
  table = tableAt
  drifting = driftingAt
}

const LF: i32 = 10
const CR: i32 = 13
const QUOTE: i32 = 34
const BACKSLASH: i32 = 92
/** The most that is written between two looks at the room. */
const MARGIN: i32 = 160

/** Where a line break at `i` ends; 0 where there is none. */
function lineBreak(i: i32): i32 {
  const c = <i32>load<u8>(i)
  if (c === LF) return i + 1
  return c === CR && load<u8>(i, 1) === LF ? i + 2 : 0
}

/** Reads records up to `end`. */
export function csv(end: i32): i32 {
  const delimiters = i8x16.splat(<i8>delimiter)
  const quotes = i8x16.splat(<i8>quote)
  const marks = i8x16.splat(<i8>QUOTE)
  const backslashes = i8x16.splat(<i8>BACKSLASH)
  const spaces = i8x16.splat(32)
  const zeros = i8x16.splat(48)
  const tens = i8x16.splat(10)
  const delim = delimiter
  const room = state.outEnd - MARGIN
  let blanks = width > 1 || header
  // Blank lines before the header are passed over together with it.
  let passed: f64 = 0
  let i = state.at

  while (true) {
    if (i >= end) return state.MORE
    if (blanks) {
      const next = lineBreak(i)
      if (next !== 0) {
        i = next
        if (!header) state.setAt(i, state.line + 1)
        else passed++
        continue
      }
    }
    if (header) {
      const status = skip(i, end)
      if (status !== state.REFUSED) return status
      i = state.skipTo
      state.passHeader(passed)
      header = false
      blanks = width > 1
      continue
    }
    if (state.rows === state.capacity) return state.LISTED

    const start = i
    let o = state.out
    let column = 0
    let entry = table
    let breaks: f64 = 1
    let drifts = 0
    let after = 0

    while (true) {
      if (column === named) return fill ? state.WIDER : skip(start, end)
      const name = load<i32>(entry)
      const length = load<i32>(entry, 4)
      if (o + length > room) return state.FULL
      v128.store(o, v128.load(name))
      for (let n = 16; n < length; n += 16) v128.store(o + n, v128.load(name + n))
      o += length
      const type = load<i32>(entry, 8)
      const first = <i32>load<u8>(i)

      if (first === quote) {
        i++
        if (type === STRING) {
          store<u8>(o++, QUOTE)
          while (true) {
            const v = v128.load(i)
            v128.store(o, v)
            const mask = i8x16.bitmask(
              v128.or(
                v128.or(i8x16.eq(v, quotes), i8x16.eq(v, backslashes)),
                v128.or(i8x16.eq(v, marks), i8x16.lt_u(v, spaces)),
              ),
            )
            if (mask === 0) {
              i += 16
              o += 16
              if (o > room) return state.FULL
              continue
            }
            const run = ctz(mask)
            i += run
            o += run
            if (i >= end) return state.MORE
            if (o > room) return state.FULL
            const c = <i32>load<u8>(i)
            if (c !== quote) {
              if (c === LF) breaks++
              o = putEscaped(c, o)
              i++
            } else if (i + 1 < end && <i32>load<u8>(i, 1) === quote) {
              if (c === QUOTE || c === BACKSLASH || c < 32) o = putEscaped(c, o)
              else store<u8>(o++, c)
              i += 2
            } else break
          }
          store<u8>(o++, QUOTE)
          i++
        } else {
          const from = i
          let doubled = false
          while (true) {
            const mask = i8x16.bitmask(
              v128.or(i8x16.eq(v128.load(i), quotes), i8x16.eq(v128.load(i), i8x16.splat(<i8>LF))),
            )
            if (mask === 0) {
              i += 16
              if (i >= end) return state.MORE
              continue
            }
            i += ctz(mask)
            if (i >= end) return state.MORE
            if (<i32>load<u8>(i) !== quote) {
              breaks++
              i++
            } else if (i + 1 < end && <i32>load<u8>(i, 1) === quote) {
              doubled = true
              i += 2
            } else break
          }
          if (i === from) {
            store<u32>(o, 0x6c6c756e)
            o += 4
          } else if (!doubled && fits(type, from, i)) o = putTyped(type, from, i, o)
          else {
            if (strict) return skip(start, end)
            store<i32>(drifting + (drifts++ << 2), column)
            o = putQuoted(from, i, quote, o, room)
            if (o === 0) return state.FULL
          }
          i++
        }
        if (i >= end) return state.MORE
        const c = <i32>load<u8>(i)
        if (c === delim) {
          i++
          column++
          entry += 16
          continue
        }
        after = lineBreak(i)
        if (after !== 0) break
        return c === CR && i + 1 >= end ? state.MORE : state.ODD
      }

      if (type === STRING) {
        const from = o
        store<u8>(o++, QUOTE)
        while (true) {
          const v = v128.load(i)
          v128.store(o, v)
          const mask = i8x16.bitmask(
            v128.or(
              v128.or(i8x16.eq(v, delimiters), i8x16.eq(v, backslashes)),
              v128.or(i8x16.eq(v, marks), i8x16.lt_u(v, spaces)),
            ),
          )
          if (mask === 0) {
            i += 16
            o += 16
            if (o > room) return state.FULL
            continue
          }
          const run = ctz(mask)
          i += run
          o += run
          if (i >= end) return state.MORE
          const c = <i32>load<u8>(i)
          if (c === delim) break
          if (c === LF) {
            after = i + 1
            break
          }
          if (c === CR) {
            if (i + 1 >= end) return state.MORE
            if (load<u8>(i, 1) === LF) {
              after = i + 2
              break
            }
          }
          if (o > room) return state.FULL
          o = putEscaped(c, o)
          i++
        }
        if (o === from + 1) {
          store<u32>(from, 0x6c6c756e)
          o = from + 4
        } else store<u8>(o++, QUOTE)
      } else {
        const from = i
        let done = false
        if (type <= DOUBLE) {
          const v = v128.load(i)
          const digits = i8x16.bitmask(i8x16.lt_u(i8x16.sub(v, zeros), tens))
          const sign = <i32>(first === 45)
          const whole = ctz(~(digits >> sign))
          let size = sign + whole
          const lead = <i32>load<u8>(i + sign)
          let plain = whole > 0 && (lead !== 48 || (whole === 1 && (sign === 0 || type === DOUBLE)))
          if (plain && type === DOUBLE && size < 14 && load<u8>(i + size) === 46) {
            const fraction = ctz(~(digits >> (size + 1)))
            plain = fraction > 0
            size += 1 + fraction
          }
          if (plain && size < 16 && i + size < end) {
            const c = <i32>load<u8>(i + size)
            if (c === delim) done = true
            else {
              after = lineBreak(i + size)
              done = after !== 0
            }
            if (done) {
              v128.store(o, v)
              o += size
              i += size
            }
          }
        }
        if (!done) {
          i = cellEnd(i, end)
          if (i === 0) return state.MORE
          after = <i32>load<u8>(i) === delim ? 0 : lineBreak(i)
          if (i === from) {
            store<u32>(o, 0x6c6c756e)
            o += 4
          } else if (fits(type, from, i)) o = putTyped(type, from, i, o)
          else {
            if (strict) return skip(start, end)
            store<i32>(drifting + (drifts++ << 2), column)
            o = putQuoted(from, i, -1, o, room)
            if (o === 0) return state.FULL
          }
        }
      }
      if (after !== 0) break
      i++
      column++
      entry += 16
    }

    i = after
    if (i - start > state.limit) return state.ODD
    if (++column < width) {
      if (!fill) {
        state.setSkip(i, state.line + breaks)
        return state.REFUSED
      }
      for (; column < width; column++) {
        entry += 16
        const name = load<i32>(entry)
        const length = load<i32>(entry, 4)
        if (o + length > room) return state.FULL
        for (let n = 0; n < length; n += 16) v128.store(o + n, v128.load(name + n))
        o += length
        store<u32>(o, 0x6c6c756e)
        o += 4
      }
    }
    if (o > room) return state.FULL
    store<u8>(o++, 125)
    for (let n = 0; n < drifts; n++) {
      const counter = table + (load<i32>(drifting + (n << 2)) << 4) + 12
      store<i32>(counter, load<i32>(counter) + 1)
    }
    state.note(start, o)
    state.setAt(i, state.line + breaks)
  }
}

/** Finds the end of a record without writing it. `REFUSED`: it ends at `skipTo`. */
function skip(start: i32, end: i32): i32 {
  let i = start
  let breaks: f64 = 1
  while (true) {
    if (<i32>load<u8>(i) === quote && i < end) {
      i++
      while (true) {
        if (i >= end) return state.MORE
        const c = <i32>load<u8>(i)
        if (c === LF) breaks++
        if (c !== quote) i++
        else if (i + 1 < end && <i32>load<u8>(i, 1) === quote) i += 2
        else break
      }
      i++
      if (i >= end || (load<u8>(i) === CR && i + 1 >= end)) return state.MORE
      if (<i32>load<u8>(i) !== delimiter && lineBreak(i) === 0) return state.ODD
    } else {
      i = cellEnd(i, end)
      if (i === 0) return state.MORE
    }
    if (<i32>load<u8>(i) !== delimiter) break
    i++
  }
  const after = lineBreak(i)
  if (after - start > state.limit) return state.ODD
  state.setSkip(after, state.line + breaks)
  return state.REFUSED
}

/** Where the delimiter or line break behind a cell without quotes is; 0 where the input ends before. */
function cellEnd(from: i32, end: i32): i32 {
  const delimiters = i8x16.splat(<i8>delimiter)
  let i = from
  while (true) {
    const v = v128.load(i)
    const mask = i8x16.bitmask(
      v128.or(
        v128.or(i8x16.eq(v, delimiters), i8x16.eq(v, i8x16.splat(<i8>LF))),
        i8x16.eq(v, i8x16.splat(<i8>CR)),
      ),
    )
    if (mask === 0) {
      i += 16
      if (i >= end) return 0
      continue
    }
    i += ctz(mask)
    if (i >= end) return 0
    if (load<u8>(i) !== CR || delimiter === CR) return i
    if (i + 1 >= end) return 0
    if (load<u8>(i, 1) === LF) return i
    i++
  }
}

/** Writes a cell that fits its type. */
function putTyped(type: i32, from: i32, to: i32, o: i32): i32 {
  if (type === BOOLEAN) {
    if ((load<u8>(from) | 32) === 116) {
      store<u32>(o, 0x65757274)
      return o + 4
    }
    store<u32>(o, 0x736c6166)
    store<u8>(o + 4, 101)
    return o + 5
  }
  const text = type > DOUBLE
  if (text) store<u8>(o++, QUOTE)
  const size = to - from
  for (let n = 0; n < size; n += 16) v128.store(o + n, v128.load(from + n))
  o += size
  if (text) store<u8>(o++, QUOTE)
  return o
}
