/** The one way files and streams are read: parts one after another, or each as a partition. */
import { stat } from 'node:fs/promises'
import { size, slice } from '../../batch.js'
import type { Batch, Json, Partition, ReadRequest, Row, Source } from '../../contracts.js'
import { cursorOf, partsFrom } from './cursor.js'
import type { FileFormat } from './format.js'
import { checkInput, describeInput, type FileInput, type Part, resolveInput } from './input.js'
import { PartReading } from './part.js'
import { schemaOf, sharedFacts } from './plan.js'
import { type FileOptions, type PickFormat, type Setup, setupOf } from './setup.js'

/** A source over files or a stream. `formats`: all that `pick` may answer. */
export function filesSource<R = Row>(
  kind: string,
  input: FileInput,
  options: FileOptions,
  formats: readonly FileFormat[],
  pick: PickFormat,
): Source<R> {
  checkInput(input)
  const setup = setupOf(options, formats, pick)
  return {
    name: options.name ?? kind,
    fingerprint: `${kind}:${describeInput(input)}`,
    read: (request) => readParts(input, setup, request) as AsyncIterable<Batch<R>>,
    partitions: async (request) => {
      const parts = await resolveInput(input)
      const shared = await sharedFacts(parts, setup, request.signal)
      return parts.map((part, index): Partition => {
        if (part.kind === 'stream') return { id: String(index) }
        return { id: String(index), data: { path: part.name, ...(shared === undefined ? {} : { shared }) } }
      })
    },
    schema: (request) => schemaOf(input, setup, request.signal),
  }
}

async function* readParts(input: FileInput, setup: Setup, request: ReadRequest): AsyncGenerator<Batch> {
  const cursor = request.from === undefined ? undefined : cursorOf(request.from)
  const data = request.partition?.data as { path: string; shared?: Json } | undefined
  const all = data === undefined ? await resolveInput(input) : [{ kind: 'path' as const, name: data.path }]
  // A partition without data is the one stream among the parts.
  const mine = request.partition === undefined || data !== undefined ? all : all.filter(isStream)
  const parts = cursor === undefined ? mine : partsFrom(mine, cursor)
  const shared = data?.shared ?? cursor?.shared ?? (await sharedFacts(parts, setup, request.signal))
  const progress = await progressOver(parts, request)
  let before = cursor?.before ?? 0
  let left = request.limit ?? Number.POSITIVE_INFINITY
  let proven = true
  for (const [index, part] of parts.entries()) {
    const reading = new PartReading(part, setup, request, before, shared, index === 0 ? cursor : undefined)
    for await (const batch of reading.run(progress)) {
      const count = size(batch)
      yield count > left ? slice(batch, 0, left) : batch
      left -= count
      if (left <= 0) return
    }
    before = reading.rows
    proven &&= reading.proven
  }
  if (proven) request.expect?.(before)
}

function isStream(part: Part): boolean {
  return part.kind === 'stream'
}

/** Progress over all parts of this read: bytes of the files as they are stored. */
async function progressOver(
  parts: readonly Part[],
  request: ReadRequest,
): Promise<(part: Part, bytes: number) => void> {
  const { progress } = request
  if (progress === undefined) return () => {}
  const starts = new Map<Part, number>()
  let total: number | undefined = 0
  for (const part of parts) {
    starts.set(part, total ?? 0)
    const stats = part.kind === 'path' ? await stat(part.name).catch(() => undefined) : undefined
    total = stats?.isFile() && total !== undefined ? total + stats.size : undefined
  }
  return (part, bytes) => progress((starts.get(part) ?? 0) + bytes, total)
}
