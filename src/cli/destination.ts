/** Where a load sends its rows; in a dry run they are made into requests that are not sent. */
import type { BodySink, Row } from '../contracts.js'
import { infinoClient } from '../infino/client.js'
import { infinoUploadSink } from '../sinks/infino-upload.js'
import type { Connected } from './connect.js'
import type { LoadFlags } from './load.js'

export interface Destination {
  readonly sink: BodySink<Row>
  /** What a dry run would have sent. */
  readonly sent: () => string
}

export function destination(dataset: string, flags: LoadFlags, infino: Connected | undefined): Destination {
  const { id, batchRows, batchBytes, concurrency } = flags
  // Opens nothing until the first request, which a dry run never makes.
  const nowhere = { endpoint: 'http://127.0.0.1:9', accessKey: 'dry-run', secretKey: 'dry-run' }
  const sink = infinoUploadSink<Row>({
    dataset,
    id: id?.length === 1 ? id[0] : id,
    batchRows,
    batchBytes,
    concurrency,
    client: infino?.client ?? infinoClient(nowhere),
  })
  if (infino !== undefined) return { sink, sent: () => '' }
  let requests = 0
  let bytes = 0
  return {
    sink: {
      ...sink,
      name: 'dry-run',
      // No server will judge the rows.
      wants: sink.wants === 'any' ? 'parsed' : sink.wants,
      open: undefined,
      close: undefined,
      write: async (frame) => {
        requests++
        bytes += frame.body.length
        return undefined
      },
    },
    sent: () =>
      `dry run: nothing was sent; it would be ${requests.toLocaleString('en-US')} ${requests === 1 ? 'request' : 'requests'}, ${(bytes / 1e6).toFixed(1)} MB`,
  }
}
