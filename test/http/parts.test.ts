import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { oneLine, reasonOf } from '../../src/http/error-body.js'
import { maskError, maskFor, Secret } from '../../src/http/redact.js'
import { retryAfterMs } from '../../src/http/retry-after.js'

describe('a secret', () => {
  it('shows as *** however it is printed', () => {
    const secret = new Secret('hunter22')
    const box = { secret, list: [secret] }
    const texts = [
      `${secret}`,
      String(secret),
      JSON.stringify(box),
      inspect(box, { depth: 9, showHidden: true }),
    ]
    for (const text of texts) {
      expect(text).toContain('***')
      expect(text).not.toContain('hunter22')
    }
    expect(secret.reveal()).toBe('hunter22')
  })

  it('is found in any text: plain, URL-encoded, escaped, and in base64 at any offset', () => {
    const text = fc.string({ unit: 'grapheme-ascii', maxLength: 12 })
    const value = fc
      .string({ unit: 'grapheme', minLength: 8, maxLength: 24 })
      .filter((s) => s.trim().length > 7)
    fc.assert(
      fc.property(text, value, text, (before, secret, after) => {
        const mask = maskFor([new Secret(secret)])
        for (const form of [
          secret,
          encodeURIComponent(secret),
          new URLSearchParams({ k: secret }).toString().slice(2),
          JSON.stringify(secret).slice(1, -1),
        ])
          expect(mask(`${before} ${form} ${after}`)).not.toContain(form)
        for (const encoding of ['base64', 'base64url'] as const) {
          const encoded = Buffer.from(`${before}${secret}${after}`).toString(encoding)
          const masked = mask(encoded)
          expect(Buffer.from(masked.replaceAll('*', ''), encoding).toString()).not.toContain(secret)
          expect(masked).toContain('***')
        }
      }),
    )
  })

  it('leaves other text alone, and so do secrets too short to look for', () => {
    const mask = maskFor([new Secret('abc'), new Secret('longer-one')])
    expect(mask('abc of something')).toBe('abc of something')
    expect(mask('a longer-one!')).toBe('a ***!')
  })

  it('is masked in an error, its stack, its causes and their lists', () => {
    const cause = new AggregateError([new Error('one hunter22')], 'many hunter22')
    const error = new Error('top hunter22', { cause })
    Object.assign(error, { url: 'http://x/?k=hunter22' })
    cause.cause = error
    maskError(error, maskFor([new Secret('hunter22')]))
    const shown = inspect(error, { depth: 9, showHidden: true })
    expect(shown).not.toContain('hunter22')
    expect(shown).toContain('***')
  })
})

describe('Retry-After', () => {
  const now = Date.UTC(2026, 0, 1)

  it('is seconds or a date', () => {
    expect(retryAfterMs('120', now)).toBe(120_000)
    expect(retryAfterMs(' 0.5 ', now)).toBe(500)
    expect(retryAfterMs('Thu, 01 Jan 2026 00:00:30 GMT', now)).toBe(30_000)
    expect(retryAfterMs('Thursday, 01-Jan-26 00:00:30 GMT', now)).toBe(30_000)
    expect(retryAfterMs('Wed, 31 Dec 2025 00:00:00 GMT', now)).toBe(0)
  })

  it('is nothing where it is absent or says neither', () => {
    for (const header of [undefined, '', '-5', 'soon', '2026-01-01T00:00:00Z', 'Foo, 99 Bar'])
      expect(retryAfterMs(header, now)).toBeUndefined()
  })
})

describe('the reason in an error body', () => {
  it('is found in every shape on record', () => {
    const cases: [unknown, string][] = [
      [
        { error: { type: 'unauthorized', reason: 'Invalid signature' }, status: 401 },
        'unauthorized: Invalid signature',
      ],
      [{ error: 'quota' }, 'quota'],
      [{ status: 'error', errorType: 'bad_data', error: 'parse error' }, 'bad_data: parse error'],
      [{ error: { type: 'x', reason: 'y', details: 'z' } }, 'x: y: z'],
      [{ error: { code: 7 } }, '{"code":7}'],
      [{ message: 'Not found' }, 'Not found'],
      [{ error_message: 'no table' }, 'no table'],
      ['index_not_found_exception', 'index_not_found_exception'],
      ['{broken', '{broken'],
      ['', 'empty body'],
      ['<html><head><title>502 Bad\nGateway</title>', 'an HTML page titled "502 Bad Gateway"'],
      ['<!doctype html>', 'an HTML page'],
    ]
    for (const [body, reason] of cases)
      expect(reasonOf(typeof body === 'string' ? body : JSON.stringify(body))).toBe(reason)
  })

  it('is one short line without control characters', () => {
    expect(oneLine('a\u001b[31m\r\n\tb')).toBe('a [31m b')
    fc.assert(
      fc.property(fc.string({ maxLength: 2000, unit: 'binary' }), (text) => {
        const line = oneLine(text)
        expect(line.length).toBeLessThanOrEqual(300)
        expect([...line].every((char) => char >= ' ' && char !== '\u007f')).toBe(true)
      }),
    )
  })
})
