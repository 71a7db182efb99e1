/** What a file source can be given, and the parts it stands for. */
import { stat } from 'node:fs/promises'
import { isAbsolute, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { glob, isDynamicPattern } from 'tinyglobby'
import { EtlError, messageOf } from '../../errors.js'
import { invalidOption } from '../../internal/options.js'

/** A stream or iterable of bytes; text is taken as UTF-8. Read once, and never resumed. */
export type ByteStream = AsyncIterable<Uint8Array | string> | Iterable<Uint8Array>

/**
 * A path, a glob, a `file:` URL or several of them; `'-'` for standard input; bytes; a stream of bytes. A path
 * that exists is never taken for a glob.
 */
export type FileInput = string | URL | readonly (string | URL)[] | Uint8Array | ByteStream

/** One thing to open. */
export type Part =
  | { readonly kind: 'path'; readonly name: string }
  | { readonly kind: 'stream'; readonly name: string; readonly open: () => ByteStream }

/** Checks an input when a source is built. */
export function checkInput(input: FileInput): FileInput {
  const paths = pathsOf(input)
  if (paths !== undefined) {
    if (paths.length === 0) throw invalidOption('input', 'at least one path', input)
    for (const path of paths)
      if (path === '') throw invalidOption('input', 'a path, not an empty string', path)
    return input
  }
  const streams =
    typeof input === 'object' && input !== null && (Symbol.asyncIterator in input || Symbol.iterator in input)
  if (!streams) throw invalidOption('input', 'a path, paths, a glob, bytes or a stream of bytes', input)
  return input
}

/** Names the input without opening it. */
export function describeInput(input: FileInput): string {
  return pathsOf(input)?.join(',') ?? 'stream'
}

/** The parts in the order they are read: as given, the files of a glob by name; a file named twice is read once. */
export async function resolveInput(input: FileInput): Promise<Part[]> {
  const paths = pathsOf(input)
  if (paths === undefined) {
    const open = () => (input instanceof Uint8Array ? [input] : (input as ByteStream))
    return [{ kind: 'stream', name: input instanceof Uint8Array ? 'bytes' : 'stream', open }]
  }
  const parts = new Map<string, Part>()
  for (const path of paths) {
    if (path === '-') parts.set('-', { kind: 'stream', name: 'stdin', open: () => process.stdin })
    else for (const name of await filesOf(path)) parts.set(resolve(name), { kind: 'path', name })
  }
  return [...parts.values()]
}

function pathsOf(input: FileInput): string[] | undefined {
  if (typeof input === 'string') return [input]
  if (input instanceof URL) return [pathOf(input)]
  if (!Array.isArray(input) || !input.every((item) => typeof item === 'string' || item instanceof URL))
    return undefined
  return input.map((item: string | URL) => (typeof item === 'string' ? item : pathOf(item)))
}

function pathOf(url: URL): string {
  if (url.protocol !== 'file:') throw invalidOption('input', 'a file: URL', url.protocol)
  return fileURLToPath(url)
}

async function filesOf(path: string): Promise<string[]> {
  if (await exists(path)) return [path]
  if (!isDynamicPattern(path)) throw notFound(path, 'no such file')
  const names = await glob(path, { onlyFiles: true, expandDirectories: false, absolute: isAbsolute(path) })
  if (names.length === 0) throw notFound(path, 'no file matches')
  return names.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return false
    throw cannotRead(path, error)
  }
}

function notFound(path: string, what: string): EtlError {
  return new EtlError(
    'ETL_FILE_NOT_FOUND',
    `${path}: ${what}; check the path (relative to ${process.cwd()})`,
    {
      context: { file: path },
    },
  )
}

/** The error for a failure of the file system. */
export function cannotRead(path: string, error: unknown): EtlError {
  const code = (error as NodeJS.ErrnoException).code
  const options = { context: { file: path }, cause: error }
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new EtlError('ETL_FILE_NOT_FOUND', `${path}: no such file; check the path`, options)
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new EtlError('ETL_FILE_ACCESS', `${path}: permission denied; check who may read it`, options)
  }
  if (code === 'EISDIR') return isDirectory(path)
  return new EtlError('ETL_FILE_READ', `${path}: cannot be read: ${messageOf(error)}`, options)
}

export function isDirectory(path: string): EtlError {
  return new EtlError(
    'ETL_FILE_IS_DIRECTORY',
    `${path} is a directory: expected a file; name its files with a glob such as ${path.replace(/\/$/, '')}/*.csv`,
    { context: { file: path } },
  )
}
