import { expect, test } from 'vitest'
import { tableLines } from '../../src/cli/output.js'
import { describeProgress, duration, progressView, Rate } from '../../src/cli/progress.js'
import type { Progress } from '../../src/report.js'

const at = (elapsedMs: number, more: Partial<Progress> = {}): Progress => ({
  read: 0,
  written: elapsedMs,
  rejected: 0,
  bytes: elapsedMs * 1000,
  ofBytes: 100_000_000,
  elapsedMs,
  writesInFlight: 0,
  ...more,
})

function screen(isTTY: boolean) {
  const writes: string[] = []
  return {
    writes,
    stream: {
      isTTY,
      columns: 200,
      write: (text: string) => {
        writes.push(text)
        return true
      },
    } as unknown as NodeJS.WriteStream,
  }
}

test('tells rows, rates, percent and the time that is left', () => {
  const rate = new Rate()
  for (let ms = 0; ms <= 5000; ms += 200) rate.add(at(ms))
  expect(describeProgress(at(5000, { rejected: 2 }), rate)).toBe(
    '5,000 rows  1,000 rows/s  1.0 MB/s  5%  ~1 min 35 s left  2 rejected',
  )
})

test('tells neither percent nor a forecast where the size is not known', () => {
  const rate = new Rate()
  rate.add(at(0))
  rate.add(at(5000))
  const line = describeProgress(at(5000, { ofBytes: undefined }), rate)
  expect(line).toBe('5,000 rows  1,000 rows/s  1.0 MB/s')
})

test('the rate follows the last ten seconds, not the whole run', () => {
  const rate = new Rate()
  for (let ms = 0; ms <= 60_000; ms += 500) rate.add(at(ms, { written: ms < 40_000 ? 0 : ms - 40_000 }))
  expect(rate.of('rows')).toBeCloseTo(1000, 0)
})

test('never says 100% before all is read, and written', () => {
  expect(describeProgress(at(1, { read: 2, written: 1, bytes: 100_000_000 }), new Rate())).toContain('99%')
  expect(describeProgress(at(1, { bytes: 99_999_999 }), new Rate())).toContain('99%')
})

test('durations are read by people', () => {
  expect([0.2, 59, 61, 3600 * 2 + 301].map(duration)).toEqual(['1 s', '59 s', '1 min 1 s', '2 h 5 min'])
})

test('where stderr is no terminal there is a plain line every five seconds', async () => {
  const { writes, stream } = screen(false)
  const view = await progressView(stream)
  for (let ms = 0; ms <= 21_000; ms += 10) view.update(at(ms))
  view.stop()
  expect(writes).toHaveLength(4)
  for (const line of writes) expect(line).toMatch(/^[\d,]+ rows {2}.*\n$/)
  expect(writes.join('')).not.toContain('\u001b')
})

test('on a terminal a bar is drawn at most five times a second, and is gone at the end', async () => {
  const { writes, stream } = screen(true)
  const view = await progressView(Object.assign(stream, { cursorTo: () => true, moveCursor: () => true }))
  const startedAt = performance.now()
  while (performance.now() - startedAt < 900) {
    view.update(at(performance.now() - startedAt, { bytes: 50_000_000 }))
    await new Promise((resolve) => setImmediate(resolve))
  }
  view.note('a note')
  view.stop()
  const drawn = writes.filter((text) => text.includes('50%'))
  expect(drawn.length).toBeGreaterThan(1)
  expect(drawn.length).toBeLessThanOrEqual(7)
  expect(drawn.at(-1)).toContain('██████████░░░░░░░░░░')
  expect(writes.join('')).toContain('a note\n')
})

test('a table keeps digits, cuts long cells and shows what a terminal would obey', () => {
  const rows = [
    { n: 9007199254740993n, text: 'a\u001b[31mb\nc', none: null },
    { n: 2, text: 'x'.repeat(100), none: { a: [1] } },
  ]
  expect(tableLines(rows, ['n', 'text', 'none'])).toEqual([
    `${' '.repeat(15)}n  text${' '.repeat(56)}  none`,
    `${'─'.repeat(16)}  ${'─'.repeat(60)}  ${'─'.repeat(9)}`,
    `9007199254740993  a\\x1b[31mb c`,
    `${' '.repeat(15)}2  ${'x'.repeat(59)}…  {"a":[1]}`,
    '(2 rows)',
  ])
})
