/** What `infino-etl bench` does: the real pipeline into nowhere, its time told apart by stage. */
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { pathToFileURL } from 'node:url'
import type { BodySink, Row } from '../contracts.js'
import { EtlError, isEtlError, messageOf } from '../errors.js'
import { payloadHash } from '../http/sigv4.js'
import { infinoClient } from '../infino/client.js'
import { datasetName } from '../infino/names.js'
import { from } from '../pipeline.js'
import type { RunReport } from '../report.js'
import { infinoUploadSink } from '../sinks/infino-upload.js'
import { fileSource } from '../sources/file.js'
import { openBytes } from '../sources/files/bytes.js'
import { openText } from '../sources/files/text.js'
import type { BenchFlags } from './bench.js'
import { type Measured, type StageResult, writeMeasured } from './bench-view.js'
import { chosen, connect } from './connect.js'
import { EXIT, type ExitCode } from './exit-codes.js'
import { tell } from './tell.js'

/** The fastest of so many passes is told: the first one also pays for compiling the code. */
const PASSES = 3
/** No further pass is begun after so long. */
const ENOUGH_MS = 10_000
const CHUNK_BYTES = 256 * 1024
const CONCURRENCY = 4

type MapFunction = (row: Row) => Row

export async function runBench(input: string, flags: BenchFlags, signal: AbortSignal): Promise<ExitCode> {
  const dataset = flags.to === undefined ? undefined : datasetName(flags.to)
  if (dataset !== undefined) chosen(flags)
  if (input === '-')
    throw new EtlError(
      'ETL_CLI_USAGE',
      'bench reads its input several times: give a file, not standard input',
    )
  const map = flags.map === undefined ? undefined : await mapOf(flags.map)
  const folder = isAddress(input) ? mkdtempSync(join(tmpdir(), 'infino-etl-bench-')) : undefined
  try {
    const file = folder === undefined ? input : await download(input, folder, signal)
    let best: Pass | undefined
    const until = performance.now() + ENOUGH_MS
    for (let pass = 0; pass < PASSES && (pass === 0 || performance.now() < until); pass++) {
      const next = await intoNowhere(file, flags, map, signal)
      if (best === undefined || next.report.elapsedMs < best.report.elapsedMs) best = next
    }
    const { report, hashMs, bodyBytes } = best as Pass
    const sent = dataset === undefined ? undefined : await send(file, dataset, flags, map, signal)
    const measured: Measured = {
      input: basename(file),
      rows: report.ledger.source.out,
      rejected: report.ledger.rejected,
      bytes: report.bytes,
      stages: stagesOf(report, hashMs, bodyBytes, await readAlone(file, report.bytes, signal), sent?.ms),
      elapsedMs: report.elapsedMs,
      sent: sent?.summary,
    }
    await writeMeasured(measured, flags.json === true || process.stdout.isTTY !== true)
    return measured.rejected > 0 ? EXIT.rejected : EXIT.done
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  }
}

interface Pass {
  readonly report: RunReport
  readonly hashMs: number
  readonly bodyBytes: number
}

function pipelineOf(file: string, flags: BenchFlags, map: MapFunction | undefined) {
  const rows = from(fileSource<Row>(file, { name: 'input', format: flags.format }))
  return map === undefined ? rows : rows.map(map)
}

/** Everything that a load does, except that a request is hashed and thrown away. */
async function intoNowhere(
  file: string,
  flags: BenchFlags,
  map: MapFunction | undefined,
  signal: AbortSignal,
): Promise<Pass> {
  let hashMs = 0
  let bodyBytes = 0
  // Opens nothing until its first request, which is never made.
  const client = infinoClient({ endpoint: 'http://127.0.0.1:9', accessKey: 'bench', secretKey: 'bench' })
  const sink: BodySink<Row> = {
    ...infinoUploadSink<Row>({ dataset: 'bench', client }),
    name: 'nowhere',
    open: undefined,
    close: undefined,
    write: async (frame) => {
      const started = performance.now()
      payloadHash(frame.body)
      hashMs += performance.now() - started
      bodyBytes += frame.body.length
      return undefined
    },
  }
  const report = await pipelineOf(file, flags, map)
    .to(sink)
    .run({ signal, limit: flags.limit, onError: 'skip' })
  return { report, hashMs, bodyBytes }
}

/** Milliseconds to read as many bytes of the file, unpacked and checked as text, without making rows of them. */
async function readAlone(file: string, bytes: number, signal: AbortSignal): Promise<number> {
  const started = performance.now()
  const raw = await openBytes({ kind: 'path', name: file }, CHUNK_BYTES, signal)
  try {
    const limits = { maxRatio: undefined, maxDecodedBytes: undefined, chunkBytes: CHUNK_BYTES }
    const text = await openText(raw, {
      name: file,
      encoding: undefined,
      limits,
      ageMs: 1000,
      from: undefined,
    })
    try {
      for await (const chunk of text.chunks) if (chunk.length > 0 && raw.bytesRead() >= bytes) break
    } finally {
      text.chunks.close()
    }
  } finally {
    await raw.close()
  }
  return performance.now() - started
}

async function send(
  file: string,
  dataset: string,
  flags: BenchFlags,
  map: MapFunction | undefined,
  signal: AbortSignal,
): Promise<{ readonly ms: number; readonly summary: NonNullable<Measured['sent']> }> {
  const infino = await connect(flags, true, signal)
  try {
    if (infino.note !== undefined) tell(infino.note)
    const sink = infinoUploadSink<Row>({ dataset, client: infino.client, concurrency: CONCURRENCY })
    const report = await pipelineOf(file, flags, map)
      .to(sink)
      .run({ signal, limit: flags.limit, onError: 'skip' })
    const waited = report.timings.find(({ name }) => name === sink.name)?.ms ?? 0
    const { written } = report.ledger.sink
    const { elapsedMs, rowsPerSecond } = report
    return {
      ms: waited / CONCURRENCY,
      summary: { to: `${dataset} at ${infino.place}`, written, elapsedMs, rowsPerSecond },
    }
  } finally {
    await infino.close()
  }
}

function stagesOf(
  report: RunReport,
  hashMs: number,
  bodyBytes: number,
  readMs: number,
  sendMs: number | undefined,
): StageResult[] {
  const of = (name: string) => report.timings.find((stage) => stage.name === name)?.ms
  const source = of('input') ?? 0
  const read = Math.min(readMs, source)
  return [
    { name: 'read', ms: read, bytes: report.bytes },
    { name: 'decode', ms: source - read, bytes: report.bytes },
    { name: 'transform', ms: of('map'), bytes: undefined },
    { name: 'encode', ms: of('encode') ?? 0, bytes: bodyBytes },
    { name: 'hash', ms: hashMs, bytes: bodyBytes },
    { name: 'send', ms: sendMs, bytes: bodyBytes },
  ]
}

async function mapOf(path: string): Promise<MapFunction> {
  let made: unknown
  try {
    made = ((await import(pathToFileURL(resolve(path)).href)) as { default?: unknown }).default
  } catch (cause) {
    throw new EtlError('ETL_CLI_USAGE', `--map ${path} cannot be loaded: ${messageOf(cause)}`, { cause })
  }
  if (typeof made === 'function') return made as MapFunction
  throw new EtlError(
    'ETL_CLI_USAGE',
    `--map ${path}: expected a function as default export, got ${typeof made}`,
  )
}

function isAddress(input: string): boolean {
  return /^https?:\/\//i.test(input)
}

async function download(address: string, folder: string, signal: AbortSignal): Promise<string> {
  if (!URL.canParse(address)) throw new EtlError('ETL_CLI_USAGE', `expected an address, got ${address}`)
  const { pathname, origin } = new URL(address)
  const file = join(folder, basename(pathname) || 'download')
  const started = performance.now()
  let bytes = 0
  try {
    const response = await fetch(address, { signal })
    if (!response.ok || response.body === null)
      throw new EtlError('ETL_CLI_DOWNLOAD', `${origin}${pathname}: status ${response.status}`)
    const body = Readable.fromWeb(response.body as import('node:stream/web').ReadableStream)
    body.on('data', (piece: Uint8Array) => {
      bytes += piece.length
    })
    await pipeline(body, createWriteStream(file), { signal })
  } catch (error) {
    if (isEtlError(error)) throw error
    if (signal.aborted) throw signal.reason
    throw new EtlError('ETL_CLI_DOWNLOAD', `${origin}${pathname} cannot be downloaded: ${messageOf(error)}`, {
      cause: error,
    })
  }
  const ms = performance.now() - started
  tell(`downloaded ${(bytes / 1e6).toFixed(1)} MB at ${(bytes / 1e3 / ms).toFixed(1)} MB/s`)
  return file
}
