/**
 * The wait that a `Retry-After` header asks for, in milliseconds: seconds, or a date compared with `nowMs`.
 * Undefined where the header is absent or says neither.
 */
export function retryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined
  const text = header.trim()
  if (/^\d+(\.\d+)?$/.test(text)) return Math.ceil(Number(text) * 1000)
  // `Date.parse` takes far more than the three date forms of HTTP, a lone `-5` among them.
  if (!/^[A-Z][a-z]{2}/.test(text)) return undefined
  const date = Date.parse(text)
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs)
}
