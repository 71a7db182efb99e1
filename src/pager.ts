/**
 * The page loop of every paged source: pages are fetched ahead while the sink works, handed over in order, each
 * with a cursor; a cycle of any length is an error; and the end is told for what it is.
 *
 * - total given by the answers: `expect`, so that the run is proven or fails
 * - no total: unproven
 * - a limit of pages or bytes: truncated, and said
 */
import { createHash } from 'node:crypto'
import { byteSize, size, withCursor } from './batch.js'
import type { Batch, Cursor, Json, ReadRequest } from './contracts.js'
import { EtlError, isEtlError, messageOf, throwIfAborted } from './errors.js'
import { wholeNumber } from './internal/options.js'
import { anySignal } from './internal/waiting.js'

/** One page as a source got it. */
export interface Page<R, P extends Json> {
  readonly batch: Batch<R>
  /** Where the next page is; absent on the last one. */
  readonly next?: P | undefined
  /** Rows in all, where the answer says so. */
  readonly total?: number | undefined
  /** Bytes of the answer; default the size of its rows. */
  readonly bytes?: number | undefined
  /** Stands for the content of the page; two pages with rows and the same one are a cycle. */
  readonly fingerprint?: string | undefined
}

export interface PagerOptions<R, P extends Json> {
  /** Named in messages. */
  readonly name: string
  readonly first: P
  /** Gets one page. May be called again for the same position when a run is resumed. */
  readonly fetch: (
    position: P,
    context: { readonly page: number; readonly signal: AbortSignal },
  ) => Promise<Page<R, P>>
  /** The position after this one, where it is known without the answer; allows more than one request at once. */
  readonly following?: ((position: P) => P | undefined) | undefined
  /** Pages requested at once, the one being handed over included. 1 fetches nothing ahead. Default 2. */
  readonly window?: number | undefined
  /** Bytes of pages that wait to be handed over. Default 64 MiB; one page is always allowed. */
  readonly aheadBytes?: number | undefined
  /** Stop after so many pages. Default none. */
  readonly maxPages?: number | undefined
  /** Stop after so many bytes of answers. Default none. */
  readonly maxBytes?: number | undefined
}

/** A page that was asked for. */
interface Asked<R, P extends Json> {
  readonly page: number
  readonly position: P
  readonly answer: Promise<Page<R, P>>
  /** Set once the answer is there. */
  bytes: number
}

/** A pager's cursor: pages and rows so far, and where the next page is. */
type PagerCursor<P> = { readonly page: number; readonly rows: number; readonly next: P | null }

/**
 * The batches of all pages in order, each under a cursor that resumes behind it. Throws `ETL_PAGE_CYCLE`,
 * `ETL_PAGE_REPEATED`, `ETL_PAGE_GAP`, `ETL_PAGE`, and what `fetch` throws, with the number of the page.
 *
 *     const source = { name: 'api', read: (request) => readPages({ name: 'api', first: 1, fetch }, request) }
 */
export async function* readPages<R, P extends Json>(
  options: PagerOptions<R, P>,
  request: ReadRequest = {},
): AsyncGenerator<Batch<R>> {
  const pager = new Pager(options, request)
  try {
    yield* pager.run()
  } finally {
    pager.stop()
  }
}

class Pager<R, P extends Json> {
  private readonly options: PagerOptions<R, P>
  private readonly request: ReadRequest
  private readonly owner = new AbortController()
  private readonly signal: AbortSignal
  private readonly window: number
  private readonly aheadBytes: number
  private readonly maxPages: number
  private readonly maxBytes: number
  private readonly asked: Asked<R, P>[] = []
  private readonly positions = new Set<string>()
  private readonly contents = new Set<string>()
  private next: P | undefined
  /** A page is with the consumer. */
  private handing = false
  /** Pages asked for so far, earlier runs included. */
  private pages: number
  private rows: number
  private bytes = 0
  private total: number | undefined

  constructor(options: PagerOptions<R, P>, request: ReadRequest) {
    this.options = options
    this.request = request
    this.signal = anySignal(this.owner.signal, request.signal)
    this.window = wholeNumber('window', options.window, 2)
    this.aheadBytes = wholeNumber('aheadBytes', options.aheadBytes, 64 * 1024 * 1024)
    this.maxPages = wholeNumber('maxPages', options.maxPages, undefined) ?? Number.POSITIVE_INFINITY
    this.maxBytes = wholeNumber('maxBytes', options.maxBytes, undefined) ?? Number.POSITIVE_INFINITY
    const from = request.from as PagerCursor<P> | undefined
    this.next = from === undefined ? options.first : (from.next ?? undefined)
    this.pages = from?.page ?? 0
    this.rows = from?.rows ?? 0
  }

  async *run(): AsyncGenerator<Batch<R>> {
    for (;;) {
      throwIfAborted(this.request.signal)
      this.handing = false
      this.ask()
      const head = this.asked[0]
      if (head === undefined) return this.declareEnd()
      const page = await head.answer
      this.asked.shift()
      const count = size(page.batch)
      this.mustBeNew(page, head.page, count)
      this.bytes += head.bytes
      this.rows += count
      this.noteTotal(page, head.page)
      if (page.next === undefined) {
        this.next = undefined
        if (count === 0) await this.mustBeTheEnd(head.page)
        this.asked.length = 0
        this.owner.abort()
      }
      this.handing = true
      this.ask()
      yield withCursor(page.batch, this.cursorAfter(head, page))
      if (page.next === undefined) return this.declareEnd()
      if (head.page >= this.maxPages) return this.request.truncated?.('pages')
      if (this.bytes >= this.maxBytes) return this.request.truncated?.('bytes')
      if (this.rows >= (this.request.limit ?? Number.POSITIVE_INFINITY)) return
    }
  }

  /** Ends every request that nobody will read. */
  stop(): void {
    this.owner.abort()
  }

  /** Asks for pages as long as there is room. */
  private ask(): void {
    const room = this.handing ? this.window - 1 : this.window
    while (this.next !== undefined && this.pages < this.maxPages && this.asked.length < room) {
      const waiting = this.asked.reduce((sum, { bytes }) => sum + bytes, 0)
      if (this.asked.length > 0 && waiting >= this.aheadBytes) return
      const position = this.next
      this.next = this.options.following?.(position)
      this.asked.push(this.askFor(position, ++this.pages))
    }
  }

  private askFor(position: P, page: number): Asked<R, P> {
    const answer = this.fetchNew(position, page)
    const asked: Asked<R, P> = { page, position, answer, bytes: 0 }
    answer.then(
      (got) => {
        asked.bytes = got.bytes ?? byteSize(got.batch)
        if (this.asked.at(-1) !== asked) return
        // Read on while this page waits for its turn.
        if (this.options.following === undefined) this.next = got.next
        if (!this.signal.aborted) this.ask()
      },
      () => {
        // Raised when its turn comes; nothing is asked for beyond it.
        this.next = undefined
      },
    )
    return asked
  }

  private async fetchNew(position: P, page: number): Promise<Page<R, P>> {
    const { name, fetch } = this.options
    const key = digest(JSON.stringify(position))
    if (this.positions.has(key)) {
      throw new EtlError(
        'ETL_PAGE_CYCLE',
        `${name}: page ${page} would be at ${JSON.stringify(position)}, where an earlier page was; the pages run in a circle`,
        { context: { page } },
      )
    }
    this.positions.add(key)
    try {
      return await fetch(position, { page, signal: this.signal })
    } catch (error) {
      throw atPage(error, name, page)
    }
  }

  private cursorAfter({ page, position }: Asked<R, P>, { next }: Page<R, P>): Cursor {
    const known = next !== undefined && this.options.following ? this.options.following(position) : next
    return { page, rows: this.rows, next: known ?? null } satisfies PagerCursor<P>
  }

  private mustBeNew(page: Page<R, P>, number: number, count: number): void {
    if (page.fingerprint === undefined || count === 0) return
    if (this.contents.has(page.fingerprint)) {
      throw new EtlError(
        'ETL_PAGE_REPEATED',
        `${this.options.name}: page ${number} has the content of an earlier page; the server seems to ignore the parameter that asks for the next one`,
        { context: { page: number } },
      )
    }
    this.contents.add(page.fingerprint)
  }

  /** Pages asked for beyond an empty one must be empty too, or not there at all. */
  private async mustBeTheEnd(page: number): Promise<void> {
    for (const later of this.asked) {
      const count = await later.answer.then(
        ({ batch }) => size(batch),
        () => 0,
      )
      if (count > 0) {
        throw new EtlError(
          'ETL_PAGE_GAP',
          `${this.options.name}: page ${page} is empty, but page ${later.page} has ${count} rows; an empty page is not the end here`,
          { context: { page } },
        )
      }
    }
  }

  private noteTotal(page: Page<R, P>, number: number): void {
    if (page.total === undefined) return
    if (this.total !== undefined && this.total !== page.total) {
      const change = `from ${this.total} to ${page.total}`
      this.request.log?.warn(`${this.options.name}: the total changed ${change} at page ${number}`)
    }
    this.total = page.total
  }

  private declareEnd(): void {
    if (this.total !== undefined) this.request.expect?.(this.total)
  }
}

function atPage(error: unknown, name: string, page: number): EtlError {
  const message = `${name}, page ${page}: ${messageOf(error)}`
  if (!isEtlError(error)) return new EtlError('ETL_PAGE', message, { cause: error, context: { page } })
  const { code, verdict, context, retryAfterMs } = error
  return new EtlError(code, message, { verdict, retryAfterMs, cause: error, context: { ...context, page } })
}

function digest(text: string): string {
  return createHash('sha1').update(text).digest('base64')
}
