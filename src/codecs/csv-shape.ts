/**
 * Rows of one shape. All rows of a table have the same columns, so the object is made by one literal that is
 * compiled once; columns are set one by one where compiling is forbidden.
 */
import type { Row } from '../contracts.js'

export type RowMaker = (values: readonly unknown[]) => Row

/** Beyond this many columns an object is a dictionary, and a literal gains nothing. */
const MAX_COMPILED = 512

/** Makes rows from one value per column. Names are unique; any text is a name. */
export function rowMaker(columns: readonly string[]): RowMaker {
  if (columns.length > MAX_COMPILED) return settingMaker(columns)
  // JSON text is the one way a name gets into the code: it cannot end the literal that it is in.
  const members = columns.map((name, index) => `[${JSON.stringify(name)}]:v[${index}]`)
  const plain = columns.map((name, index) => `${JSON.stringify(name)}:v[${index}]`)
  try {
    // A computed key makes an own column of `__proto__` where a plain one would set the prototype.
    return new Function(
      'v',
      `return{${(columns.includes('__proto__') ? members : plain).join(',')}}`,
    ) as RowMaker
  } catch {
    return settingMaker(columns)
  }
}

/** The same without compiling. */
export function settingMaker(columns: readonly string[]): RowMaker {
  return (values) => {
    const row: Row = {}
    for (let i = 0; i < columns.length; i++) setColumn(row, columns[i] as string, values[i])
    return row
  }
}

/** Sets a column that may have any name. */
export function setColumn(row: Row, name: string, value: unknown): void {
  if (name === '__proto__') {
    Object.defineProperty(row, name, { value, enumerable: true, configurable: true, writable: true })
  } else row[name] = value
}
