/** What a file source needs to know of a format; everything else is the same for all of them. */
import type { Decoder, DecoderSetup } from '../../codecs/decoder.js'
import type { Json, Schema } from '../../contracts.js'

export interface FormatDecoderSetup extends DecoderSetup {
  readonly onDrift: (column: string) => void
}

/**
 * A sample is what the beginning of one file shows, shared facts are what the samples of all files say
 * together, a plan is what the decoder of one file has to know. All are plain JSON: shared facts travel in
 * partitions, plans in cursors.
 */
export interface FileFormat {
  readonly name: string
  readonly sample?: (head: Uint8Array, whole: boolean, file: string) => Json
  /** Present where the files of one source have to agree. */
  readonly share?: (samples: readonly Json[]) => Json
  readonly plan?: (sample: Json, file: string, shared: Json | undefined) => Json
  /** What a plan says, for a line that tells people how the file is read. */
  readonly facts?: (plan: Json) => Readonly<Record<string, Json>>
  readonly schema?: (plans: readonly Json[]) => Schema
  readonly decoder: (plan: Json | undefined, setup: FormatDecoderSetup) => Decoder
}
