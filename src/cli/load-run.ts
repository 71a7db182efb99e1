/** What `infino-etl load` does: the pipeline, what is told on the way, and the ledger at the end. */
import { existsSync } from 'node:fs'
import type { Logger, Row, Source } from '../contracts.js'
import { EtlError } from '../errors.js'
import { datasetName } from '../infino/names.js'
import { describeLedger, makeLedger } from '../ledger.js'
import { from } from '../pipeline.js'
import { type DeadLetterPolicy, deadLetter } from '../rejections.js'
import { type RunReport, reportOf } from '../report.js'
import { jsonlSink } from '../sinks/jsonl.js'
import { csvSource } from '../sources/csv.js'
import { fileSource } from '../sources/file.js'
import { resolveInput } from '../sources/files/input.js'
import { jsonSource } from '../sources/json.js'
import { jsonlSource } from '../sources/jsonl.js'
import { type Connected, chosen, connect } from './connect.js'
import { destination } from './destination.js'
import { earlierLoad, factsOf, newRecord, remember } from './earlier.js'
import { EXIT, type ExitCode, exitCodeOf } from './exit-codes.js'
import type { LoadFlags } from './load.js'
import { notices } from './notices.js'
import { progressView } from './progress.js'
import { openSummary, type SummaryFile } from './summary.js'
import { tell, tellError } from './tell.js'

/** A signal ends the run within two seconds: this is waited for up to five times. */
const GRACE_MS = 300
/** After a failure the ledger shall know what became of the rows in flight. */
const SETTLE_MS = 60_000

/** `source`: instead of the files, for tests. */
export async function runLoad(
  files: readonly string[],
  flags: LoadFlags,
  signal: AbortSignal,
  source: Source | undefined = undefined,
): Promise<ExitCode> {
  let report: RunReport | undefined
  let failure: unknown
  let place = ''
  let infino: Connected | undefined
  let summary: SummaryFile | undefined
  try {
    if (flags.summary !== undefined) summary = openSummary(flags.summary)
    const rows = source ?? sourceOf(files, flags)
    const dataset = datasetOf(flags)
    const onError = onErrorOf(flags.onError)
    chosen(flags)
    if (flags.dryRun === true && flags.checkpoint !== undefined)
      throw usage('--dry-run sends nothing, so there is no position to keep: leave --checkpoint out')
    if (flags.dryRun !== true) {
      infino = await connect(flags, true, signal)
      if (infino.note !== undefined) tell(infino.note)
      place = ` into ${dataset} at ${infino.place}`
    }
    const target = destination(dataset, flags, infino)
    const record = infino && (await startRecord(files, dataset, flags, infino))
    const view = await progressView(process.stderr)
    const log: Logger = notices(view)
    try {
      report = await from(rows).to(target.sink).run({
        checkpoint: flags.checkpoint,
        onError,
        limit: flags.limit,
        signal,
        graceMs: GRACE_MS,
        settleMs: SETTLE_MS,
        log,
        onProgress: view.update,
      })
    } catch (error) {
      report = reportOf(error)
      throw error
    } finally {
      view.stop()
      if (record !== undefined && infino !== undefined)
        remember(infino.dir, {
          ...record,
          written: report?.ledger.sink.written ?? 0,
          complete: report?.status === 'complete',
        })
    }
    if (flags.dryRun === true) tell(target.sent())
  } catch (error) {
    failure = error
  }
  const code = codeOf(report, failure)
  return finish({ flags, report, failure, place, infino, code, save: summary })
}

interface End {
  readonly flags: LoadFlags
  readonly report: RunReport | undefined
  readonly failure: unknown
  readonly place: string
  readonly infino: Connected | undefined
  readonly code: ExitCode
  readonly save: SummaryFile | undefined
}

/** Tells how it ended; the ledger is the last line. */
async function finish({ flags, report, failure, place, infino, code, save }: End): Promise<ExitCode> {
  let exit = code
  if (report !== undefined) tellRejected(report)
  if (failure !== undefined) tellError(failure)
  if (report?.status === 'stopped' && flags.checkpoint !== undefined)
    tell(`the same command goes on from ${flags.checkpoint}`)
  if (failure === undefined && report?.ledger.source.read === 0) tell('note: there were no rows')
  if (
    report !== undefined &&
    failure === undefined &&
    report.resumed &&
    report.writes === 0 &&
    report.bytes === 0
  )
    tell(`nothing to do: ${flags.checkpoint} is of a load that is complete; delete it to load again`)
  try {
    save?.write({ report, failure, exitCode: exit, dryRun: flags.dryRun === true })
  } catch (error) {
    tellError(error)
    if (exit === EXIT.done || exit === EXIT.rejected) exit = EXIT.fatal
  }
  tell(ledgerLine(report, flags, place))
  await infino?.close()
  return exit
}

function ledgerLine(report: RunReport | undefined, flags: LoadFlags, place: string): string {
  const text = describeLedger(report?.ledger ?? makeLedger('', [], '', [], false))
  if (report === undefined) return `ledger: ${text}`
  const { status, completeness, rowsPerSecond, elapsedMs } = report
  const ends: string[] = []
  if (flags.dryRun === true) ends.push('dry run, nothing was sent')
  if (report.resumed) ends.push('earlier runs of the checkpoint included')
  if (status === 'failed') ends.push('it failed')
  else if (status === 'stopped') ends.push('interrupted')
  else if (completeness.kind === 'truncated') ends.push(`ended early: ${completeness.reason}`)
  const rate = rowsPerSecond > 0 ? `, ${rowsPerSecond.toLocaleString('en-US')} rows/s` : ''
  const counts = flags.dryRun === true ? text.replace(' written', ' valid') : text
  return [`ledger: ${counts}${place} (${(elapsedMs / 1000).toFixed(1)} s${rate})`, ...ends].join('; ')
}

function codeOf(report: RunReport | undefined, failure: unknown): ExitCode {
  if (failure !== undefined) return exitCodeOf(failure)
  if (report === undefined || report.status !== 'complete') return EXIT.fatal
  if (!report.ledger.balanced || report.ledger.incomplete.length > 0) return EXIT.unbalanced
  return report.ledger.rejected > 0 ? EXIT.rejected : EXIT.done
}

function tellRejected(report: RunReport): void {
  if (report.ledger.rejected === 0 || report.status !== 'complete') return
  for (const [code, count] of Object.entries(report.rejectedByCode).slice(0, 5)) {
    const first = report.rejectedRows.find((row) => row.code === code)
    const at = first?.position
    const where =
      at === undefined
        ? ''
        : ` (first: ${[at.file, at.row && `row ${at.row}`, at.line && `line ${at.line}`].filter(Boolean).join(', ')})`
    tell(`rejected: ${count.toLocaleString('en-US')} x ${code}${where}: ${first?.reason ?? ''}`)
  }
}

function sourceOf(files: readonly string[], flags: LoadFlags): Source<Row> {
  const { format, delimiter, header, types, path } = flags
  const name = 'input'
  const csv = delimiter !== undefined || !header || types === 'text'
  if (csv && format !== undefined && format !== 'csv')
    throw usage(`--delimiter, --no-header and --types are for CSV, and --format is ${format}`)
  if (path !== undefined && (csv || (format !== undefined && format !== 'json')))
    throw usage('--path is for JSON documents')
  if (format === 'csv' || csv)
    return csvSource(files, {
      name,
      ...(delimiter === undefined ? {} : { delimiter: delimiter === '\\t' ? '\t' : delimiter }),
      ...(header ? {} : { header: false }),
      ...(types === 'text' ? { types: false as const } : {}),
    })
  if (format === 'json' || path !== undefined) return jsonSource(files, { name, path })
  return format === 'jsonl' ? jsonlSource(files, { name }) : fileSource(files, { name })
}

function datasetOf(flags: LoadFlags): string {
  if (flags.to !== undefined) return datasetName(flags.to)
  if (flags.dryRun === true) return 'dry-run'
  throw usage('--to is missing: name the dataset to load into')
}

function onErrorOf(value: string): 'fail' | 'skip' | DeadLetterPolicy {
  return value === 'fail' || value === 'skip' ? value : deadLetter(jsonlSink(value, { append: true }))
}

async function startRecord(files: readonly string[], dataset: string, flags: LoadFlags, infino: Connected) {
  const parts = await resolveInput(files).catch(() => [])
  const paths = parts.filter((part) => part.kind === 'path').map((part) => part.name)
  if (paths.length === 0) return undefined
  const record = newRecord(dataset, infino.local ? 'local' : infino.place, factsOf(paths))
  const resuming = flags.checkpoint !== undefined && existsSync(flags.checkpoint)
  const earlier = resuming ? undefined : earlierLoad(infino.dir, record)
  if (earlier !== undefined)
    tell(
      `note: ${earlier}; ${flags.id === undefined ? 'its rows are added once more' : 'rows with the same id are replaced'}`,
    )
  remember(infino.dir, record)
  return record
}

function usage(message: string): EtlError {
  return new EtlError('ETL_CLI_USAGE', message)
}
