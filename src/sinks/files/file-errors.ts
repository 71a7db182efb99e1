/** Failures of the file system while writing, in words that name the file and what to do. */
import { EtlError, messageOf } from '../../errors.js'

export function cannotWrite(file: string, error: unknown): EtlError {
  const code = (error as NodeJS.ErrnoException).code
  const options = { context: { file }, cause: error }
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new EtlError('ETL_FILE_FULL', `${file}: the disk or the quota is full; make room`, options)
    case 'EFBIG':
      return new EtlError('ETL_FILE_FULL', `${file}: the file system takes no larger file`, options)
    case 'ENOENT':
    case 'ENOTDIR':
      return new EtlError('ETL_FILE_NOT_FOUND', `${file}: its folder does not exist; create it`, options)
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new EtlError('ETL_FILE_ACCESS', `${file}: permission denied; check who may write it`, options)
    case 'EEXIST':
      return changed(file, 'another run has just begun to write it: run one at a time per file')
    case 'EISDIR':
      return notAFile(file, 'a directory')
    default:
      return new EtlError('ETL_FILE_WRITE', `${file}: cannot be written: ${messageOf(error)}`, options)
  }
}

export function notAFile(file: string, what: string): EtlError {
  const code = what === 'a directory' ? 'ETL_FILE_IS_DIRECTORY' : 'ETL_FILE_NOT_REGULAR'
  return new EtlError(code, `${file} is ${what}: expected the path of a file to write`, { context: { file } })
}

/** The file is not what this run, or the checkpoint, left behind. */
export function changed(file: string, what: string): EtlError {
  return new EtlError('ETL_FILE_CHANGED', `${file}: ${what}`, { context: { file } })
}
