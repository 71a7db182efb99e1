/** `multipart/form-data` in the order that a streaming server needs: the fields first, the file last. */
import { randomBytes } from 'node:crypto'

export interface Multipart {
  readonly contentType: string
  readonly bytes: number
  /** The body, made anew at every call. */
  readonly body: () => AsyncIterable<Uint8Array>
}

export interface MultipartFile {
  readonly name: string
  readonly contentType: string
  /** Pieces in order, or a function that opens them anew; then `bytes` says how many there are. */
  readonly content: readonly Uint8Array[] | (() => AsyncIterable<Uint8Array>)
  readonly bytes?: number | undefined
}

export function multipart(fields: Readonly<Record<string, string>>, file: MultipartFile): Multipart {
  // Random, so that no row can hold it: a row that did would end the file early.
  const boundary = `infino-etl-${randomBytes(24).toString('hex')}`
  let text = ''
  for (const [name, value] of Object.entries(fields))
    text += `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(name)}"\r\n\r\n${value}\r\n`
  text += `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${quoted(file.name)}"\r\n`
  const head = Buffer.from(`${text}Content-Type: ${file.contentType}\r\n\r\n`)
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`)
  const { content } = file
  const fileBytes =
    typeof content === 'function' ? (file.bytes ?? 0) : content.reduce((sum, piece) => sum + piece.length, 0)
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    bytes: head.length + fileBytes + tail.length,
    async *body() {
      yield head
      yield* typeof content === 'function' ? content() : content
      yield tail
    },
  }
}

function quoted(text: string): string {
  return text.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
}
