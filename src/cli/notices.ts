/** The run's messages as lines: how files are read, and warnings. */
import type { Logger } from '../contracts.js'
import { show } from '../internal/options.js'
import type { ProgressView } from './progress.js'

const MAX_WARNINGS = 20
const MAX_LAYOUTS = 5
const MAX_COLUMNS = 8

export function notices(view: ProgressView): Logger {
  const debug = Boolean(process.env.INFINO_ETL_DEBUG)
  const layouts = new Set<string>()
  let warnings = 0
  return {
    debug: (message, fields) => {
      if (debug) view.note(`debug: ${message}${fieldsText(fields)}`)
    },
    info: (message, fields) => {
      if (message !== 'reading') return
      const layout = describeLayout(fields ?? {})
      // Once for all files that are alike.
      if (layouts.has(layout) || layouts.size >= MAX_LAYOUTS) return
      layouts.add(layout)
      view.note(`reading ${String(fields?.file)}: ${layout}`)
    },
    warn: (message, fields) => {
      warnings++
      if (warnings <= MAX_WARNINGS) view.note(`warning: ${message}${fieldsText(fields)}`)
      if (warnings === MAX_WARNINGS) view.note('warning: further warnings are not shown')
    },
  }
}

const DELIMITER_NAMES: Readonly<Record<string, string>> = {
  '\t': 'tab',
  ',': 'comma',
  ';': 'semicolon',
  '|': 'bar',
}

function describeLayout(fields: Readonly<Record<string, unknown>>): string {
  const { format, delimiter, header, columns } = fields
  const parts = [String(format)]
  if (typeof delimiter === 'string') parts.push(`delimiter ${DELIMITER_NAMES[delimiter] ?? show(delimiter)}`)
  if (typeof header === 'boolean') parts.push(header ? 'header' : 'no header')
  if (Array.isArray(columns)) {
    const names = columns.slice(0, MAX_COLUMNS).map(String)
    const more = columns.length > MAX_COLUMNS ? ', ...' : ''
    parts.push(
      `${columns.length} ${columns.length === 1 ? 'column' : 'columns'} (${names.join(', ')}${more})`,
    )
  }
  return parts.join(', ')
}

function fieldsText(fields: Readonly<Record<string, unknown>> | undefined): string {
  const entries = Object.entries(fields ?? {})
  return entries.length === 0
    ? ''
    : ` (${entries.map(([name, value]) => `${name} ${String(value)}`).join(', ')})`
}
