/** Looks at the beginning of files: their format, their layout, and what several of them have to agree on. */
import type { Json, Schema } from '../../contracts.js'
import { type OpenBytes, openBytes } from './bytes.js'
import type { FileFormat } from './format.js'
import { type FileInput, type Part, resolveInput } from './input.js'
import type { Setup } from './setup.js'
import { openText, type Text } from './text.js'

const SAMPLE_BYTES = 1024 * 1024
const SNIFF_BYTES = 64 * 1024

export function openTextOf(bytes: OpenBytes, name: string, setup: Setup, from?: number): Promise<Text> {
  const { encoding, maxRatio, maxDecodedBytes } = setup.options
  return openText(bytes, {
    name,
    encoding,
    limits: { maxRatio, maxDecodedBytes, chunkBytes: setup.chunkBytes },
    ageMs: setup.sampleAgeMs,
    from,
  })
}

export async function planOf(
  part: Part,
  text: Text,
  setup: Setup,
  shared: Json | undefined,
): Promise<{ format: FileFormat; plan: Json | undefined; sample: Json | undefined }> {
  const format = await setup.pick(
    part,
    async () => (await text.chunks.peek(SNIFF_BYTES, setup.sampleAgeMs)).head,
  )
  if (format.sample === undefined) return { format, plan: undefined, sample: undefined }
  const { head, whole, failure } = await text.chunks.peek(SAMPLE_BYTES, setup.sampleAgeMs)
  try {
    const sample = format.sample(head, whole, part.name)
    return { format, sample, plan: format.plan?.(sample, part.name, shared) }
  } catch (error) {
    // A head that is short because reading failed says nothing about the file.
    throw failure === undefined ? error : failure.error
  }
}

/** What the files have to agree on, or nothing where that is one file, a stream, or a format without such facts. */
export async function sharedFacts(
  parts: readonly Part[],
  setup: Setup,
  signal: AbortSignal | undefined,
): Promise<Json | undefined> {
  if (parts.length < 2) return undefined
  const samples: Json[] = []
  let share: FileFormat['share']
  for (const part of parts) {
    if (part.kind === 'stream') continue
    const { format, sample } = await lookAt(part, setup, signal)
    if (format.share === undefined || sample === undefined) continue
    share = format.share
    samples.push(sample)
  }
  return share?.(samples)
}

async function lookAt(
  part: Part,
  setup: Setup,
  signal: AbortSignal | undefined,
): Promise<Awaited<ReturnType<typeof planOf>>> {
  const bytes = await openBytes(part, setup.chunkBytes, signal)
  let text: Text | undefined
  try {
    text = await openTextOf(bytes, part.name, setup)
    return await planOf(part, text, setup, undefined)
  } finally {
    text?.chunks.close()
    await bytes.close()
  }
}

export async function schemaOf(
  input: FileInput,
  setup: Setup,
  signal: AbortSignal | undefined,
): Promise<Schema | undefined> {
  const parts = await resolveInput(input)
  // Looking at a stream would use it up.
  if (parts.some((part) => part.kind === 'stream')) return undefined
  const looks = []
  for (const part of parts) looks.push({ part, ...(await lookAt(part, setup, signal)) })
  const { format } = looks[0] as (typeof looks)[number]
  if (format.schema === undefined || looks.some((look) => look.format !== format)) return undefined
  const samples = looks.map((look) => look.sample as Json)
  const shared = looks.length > 1 ? format.share?.(samples) : undefined
  return format.schema(
    looks.map((look, index) => format.plan?.(samples[index] as Json, look.part.name, shared) as Json),
  )
}
