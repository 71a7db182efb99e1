/** What a failed answer says, in whatever shape it says it. */

const MAX_REASON = 300

/**
 * One short line from an error body: `{"error":{"type","reason"}}`, `{"error":"..."}`, `{"errorType","error"}`,
 * `{"message"}`, plain text. Of an HTML page only that it is one, with its title.
 */
export function reasonOf(text: string): string {
  const trimmed = text.trim()
  if (trimmed === '') return 'empty body'
  if (trimmed.startsWith('<')) {
    const title = /<title[^>]*>([^<]{0,200})/i.exec(trimmed)?.[1]?.trim()
    return title ? `an HTML page titled ${JSON.stringify(oneLine(title))}` : 'an HTML page'
  }
  if (trimmed.startsWith('{')) {
    try {
      const reason = reasonIn(JSON.parse(trimmed))
      if (reason !== undefined) return oneLine(reason)
    } catch {
      // Not JSON after all: shown as the text it is.
    }
  }
  return oneLine(trimmed)
}

/** The reason in a parsed body, or undefined where the body names no error. */
export function reasonIn(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null) return undefined
  const { error, errorType, message, error_message: errorMessage } = body as Record<string, unknown>
  if (typeof error === 'object' && error !== null) {
    const { type, reason, details, message: inner } = error as Record<string, unknown>
    const parts = [type, reason ?? inner, details].filter((part) => typeof part === 'string' && part !== '')
    return parts.length === 0 ? JSON.stringify(error).slice(0, MAX_REASON) : parts.join(': ')
  }
  if (typeof error === 'string' && error !== '')
    return typeof errorType === 'string' ? `${errorType}: ${error}` : error
  if (typeof errorMessage === 'string' && errorMessage !== '') return errorMessage
  return typeof message === 'string' && message !== '' ? message : undefined
}

/** Text as a message may show it: one line, no control characters, at most 300 characters. */
export function oneLine(text: string): string {
  const head = text.slice(0, MAX_REASON + 1)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not reach a terminal
  const clean = head.replace(/[\u0000-\u001f\u007f-\u009f\s]+/g, ' ').trim()
  return text.length > MAX_REASON ? `${clean.slice(0, MAX_REASON - 3)}...` : clean
}
