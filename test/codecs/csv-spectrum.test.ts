import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { csvDecoder } from '../../src/codecs/csv.js'
import { layoutOf, sampleCsv } from '../../src/codecs/csv-layout.js'
import type { Row } from '../../src/contracts.js'
import { collect, pieces, splitsOf } from './decoding.js'

const folder = dirname(createRequire(import.meta.url).resolve('csv-spectrum/package.json'))
const names = [
  'comma_in_quotes',
  'empty',
  'empty_crlf',
  'escaped_quotes',
  'json',
  'location_coordinates',
  'newlines',
  'newlines_crlf',
  'quotes_and_newlines',
  'simple',
  'simple_crlf',
  'utf8',
]

describe('csv-spectrum', () => {
  it.each(names)('%s gives the answers of the suite, however the bytes are cut', (name) => {
    const bytes = readFileSync(join(folder, 'csvs', `${name}.csv`))
    const parsed = JSON.parse(readFileSync(join(folder, 'json', `${name}.json`), 'utf8')) as Row | Row[]
    const answers = Array.isArray(parsed) ? parsed : [parsed]
    // The suite's own answer holds another telephone number than its file.
    if (name === 'location_coordinates') answers[0] = { ...answers[0], 'Contact Phone Number': '2095257564' }
    const layout = layoutOf(sampleCsv(bytes, true, name), name, false)
    const whole = collect(csvDecoder({ layout }), [bytes])
    expect(whole.error).toBeUndefined()
    expect(whole.rejected).toEqual([])
    expect(whole.rows).toEqual(answers)
    for (const cuts of splitsOf(bytes.length)) {
      expect(collect(csvDecoder({ layout }), pieces(bytes, cuts)), `cut at ${cuts}`).toEqual(whole)
    }
  })
})
