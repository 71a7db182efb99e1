// Where decoded rows end: counted in a timed run, added to the checksum in the run that checks.
import { Checksum } from './checksum.mjs'

export function countingSink() {
  return {
    total: 0,
    last: undefined,
    row(row) {
      this.total++
      this.last = row
    },
    rows(rows) {
      this.total += rows.length
      this.last = rows
    },
    count(rows) {
      this.total += rows
    },
    /** Whole JSON lines. Their number is told in the checking run; here their bytes are taken as they are. */
    lines(bytes) {
      this.total += bytes.length
      this.last = bytes
    },
    sum: () => undefined,
  }
}

export function checkingSink() {
  const checksum = new Checksum()
  return {
    get total() {
      return checksum.rows
    },
    row: (row) => checksum.row(row),
    rows: (rows) => {
      for (const row of rows) checksum.row(row)
    },
    count: () => {
      throw new Error('the checking run wants rows')
    },
    lines: (bytes) => {
      for (const line of bytes.toString().split('\n')) if (line !== '') checksum.row(JSON.parse(line))
    },
    sum: () => String(checksum),
  }
}
