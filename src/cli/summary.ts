/** The run report in a file. Opened before the load begins, so that a wrong path is told in time. */
import { closeSync, openSync, writeSync } from 'node:fs'
import { EtlError, isEtlError, messageOf } from '../errors.js'
import { stringifyJson } from '../json.js'
import type { RunReport } from '../report.js'
import { masked } from './tell.js'

export interface SummaryFacts {
  readonly report: RunReport | undefined
  readonly failure: unknown
  readonly exitCode: number
  readonly dryRun: boolean
}

export interface SummaryFile {
  readonly write: (facts: SummaryFacts) => void
}

/** An empty file until the end. Throws `ETL_CLI_SUMMARY`. */
export function openSummary(path: string): SummaryFile {
  const attempt = <T>(work: () => T): T => {
    try {
      return work()
    } catch (cause) {
      throw new EtlError('ETL_CLI_SUMMARY', `the summary ${path} cannot be written: ${messageOf(cause)}`, {
        context: { file: path },
        cause,
      })
    }
  }
  const file = attempt(() => openSync(path, 'w', 0o600))
  return {
    write: ({ report, failure, exitCode, dryRun }) =>
      attempt(() => {
        const summary = {
          exitCode,
          dryRun,
          ...(failure === undefined ? {} : { error: errorFacts(failure) }),
          report,
        }
        const bytes = Buffer.from(`${masked(stringifyJson(summary))}\n`)
        try {
          for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
        } finally {
          closeSync(file)
        }
      }),
  }
}

function errorFacts(error: unknown) {
  if (!isEtlError(error)) return { code: 'ETL_UNKNOWN', message: messageOf(error) }
  const { code, message, context } = error
  return { code, message, context }
}
