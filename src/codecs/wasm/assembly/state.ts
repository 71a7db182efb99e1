/**
 * What both sides share: settings written before a call, and where the work stands. Addresses are bytes of the
 * memory. Behind the input lie 64 zero bytes, so that no load has to look for the end first.
 */

/** All input is used up to `at`; what lies behind is the beginning of something. */
export const MORE: i32 = 0
/** The output region is too small for the next row. */
export const FULL: i32 = 1
/** The lists of positions are full. */
export const LISTED: i32 = 2
/** The record from `at` up to `skipTo` cannot be a row. */
export const REFUSED: i32 = 3
/** What lies at `at` is for the other engine to judge. */
export const ODD: i32 = 4
/** The record at `at` has more cells than there are names. */
export const WIDER: i32 = 5

/** First byte that belongs to no row given out, and its line. */
export let at: i32 = 0
export let line: f64 = 1
/** What to add to an address to get an offset in the source. */
let base: f64 = 0
/** End of a refused record, and the line there. */
export let skipTo: i32 = 0
let skipLine: f64 = 1

/** The output region, and the end of the output so far. */
let outStart: i32 = 0
export let out: i32 = 0
export let outEnd: i32 = 0

/** Rows so far, how many the lists can hold, and the lists. */
export let rows: i32 = 0
export let capacity: i32 = 0
let bytes: i32 = 0
let lines: i32 = 0
let starts: i32 = 0
let ends: i32 = 0

/** A longer row is for the other engine. */
export let limit: i32 = 0

/** `lists`: per row offset and line in the source (8 bytes each), start and end in the output (4 bytes each). */
export function begin(
  input: i32,
  offset: f64,
  inputLine: f64,
  rowLimit: i32,
  lists: i32,
  listRows: i32,
  output: i32,
  outputEnd: i32,
): void {
  at = input
  line = inputLine
  base = offset - <f64>input
  limit = rowLimit
  capacity = listRows
  bytes = lists
  lines = lists + listRows * 8
  starts = lists + listRows * 16
  ends = lists + listRows * 20
  outStart = output
  outEnd = outputEnd
  taken()
}

/** The output was taken away. */
export function taken(): void {
  rows = 0
  out = outStart
}

/** The output region has become longer. */
export function widen(end: i32): void {
  outEnd = end
}

/** Goes on behind the refused record. */
export function passRefused(): void {
  setAt(skipTo, skipLine)
}

/** Passes the record that ends at `skipTo` and the lines before it. */
export function passHeader(before: f64): void {
  setAt(skipTo, skipLine + before)
}

export function setAt(address: i32, atLine: f64): void {
  at = address
  line = atLine
}

export function setSkip(address: i32, atLine: f64): void {
  skipTo = address
  skipLine = atLine
}

/** Notes a finished row; its text starts at `out`, ends at `end` and is followed by a line break. */
export function note(start: i32, end: i32): void {
  const index = rows << 2
  store<i32>(starts + index, out - outStart)
  store<i32>(ends + index, end - outStart)
  store<f64>(bytes + (index << 1), base + <f64>start)
  store<f64>(lines + (index << 1), line)
  store<u8>(end, 10)
  out = end + 1
  rows++
}
