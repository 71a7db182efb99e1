/** `POST /sql`: one reading statement over the datasets, answered as typed values. */
import type { DuckDBConnection, DuckDBMaterializedResult } from '@duckdb/node-api'
import { messageOf } from '../errors.js'
import { ApiError, malformed } from './reply.js'
import type { Store } from './store.js'

/**
 * Runs the query and hands on the answer piece by piece. The result is complete before the first piece, so that a
 * failing query is an error and never half an answer.
 */
export async function answerSql(
  store: Store,
  query: string,
  signal: AbortSignal,
  send: (pieces: AsyncIterable<string>) => Promise<void>,
): Promise<void> {
  const begun = performance.now()
  await store.read(async (connection) => {
    const { result, kind } = await runQuery(store, connection, query, signal)
    await send(pieces(result, kind, performance.now() - begun))
  }, signal)
}

async function runQuery(
  store: Store,
  connection: DuckDBConnection,
  query: string,
  signal: AbortSignal,
): Promise<{ result: DuckDBMaterializedResult; kind: string }> {
  const { StatementType } = store.database.duckdb
  try {
    const statements = await connection.extractStatements(query)
    if (statements.count !== 1) throw malformed(`expected one SQL statement, got ${statements.count}`)
    const statement = await statements.prepare(0)
    const type = statement.statementType
    if (type !== StatementType.SELECT && type !== StatementType.EXPLAIN)
      throw malformed(
        `SQL reads only here, got ${StatementType[type] ?? 'another statement'}: write with POST /{dataset}/json, delete with PATCH /{dataset}`,
      )
    if (await readsFiles(connection, query)) throw malformed('SQL reads datasets only here, no files')
    if (statement.parameterCount > 0) throw malformed('SQL parameters are not supported')
    return { result: await statement.run(), kind: type === StatementType.EXPLAIN ? 'Explain' : 'Select' }
  } catch (error) {
    throw sqlError(error, query, signal)
  }
}

const FILE_FUNCTION = 'read_[a-z0-9_]+|parquet_[a-z0-9_]+|sniff_csv|glob|query|query_table|[a-z0-9_]*scan'
const CALLED = new RegExp(`"function_name":"(?:${FILE_FUNCTION})"`, 'i')
const NAMED = new RegExp(`\\b(?:${FILE_FUNCTION})\\b`, 'i')

/**
 * DuckDB is told to reach no file, and makes an exception for the file of the database itself: so the functions that
 * read files, or run SQL from a string, are looked for in the syntax tree. Where a statement has none (EXPLAIN, PIVOT)
 * their names must not occur at all.
 */
async function readsFiles(connection: DuckDBConnection, query: string): Promise<boolean> {
  const found = await connection.runAndReadAll('SELECT json_serialize_sql($1::VARCHAR)', [query])
  const tree = String(found.getRows()[0]![0])
  return tree.startsWith('{"error":false') ? CALLED.test(tree) : NAMED.test(query)
}

function sqlError(error: unknown, query: string, signal: AbortSignal): ApiError {
  if (error instanceof ApiError) return error
  if (signal.aborted) return new ApiError(408, 'timeout_exception', 'the query took too long and was stopped')
  const message = messageOf(error)
  if (/^\s*(?:--[^\n]*\s*)*;*\s*$/.test(query)) return malformed('the SQL query is empty')
  if (/out of memory/i.test(message)) return new ApiError(400, 'circuit_breaking_exception', message)
  if (/^Catalog Error: Table with name/.test(message))
    return new ApiError(404, 'index_not_found_exception', message)
  return malformed(message)
}

/** Characters of a piece before it is handed on. */
const PIECE_CHARS = 64 * 1024

async function* pieces(
  result: DuckDBMaterializedResult,
  kind: string,
  tookMs: number,
): AsyncGenerator<string> {
  const names = result.deduplicatedColumnNames()
  const kinds = names.map((_, i) => kindOf(String(result.columnType(i))))
  const columns = names.map((name, i) => ({
    alias: null,
    name: { Column: { name, table_identifier: null } },
    data_type: kinds[i],
  }))
  const keys = names.map((name) => JSON.stringify(name))
  let text = `{"has_joins":false,"execution_time":${Math.round(tookMs)},"statement_type":"${kind}","affected_rows":0,"columns":${JSON.stringify(columns)},"rows":[`
  let first = true
  for (
    let chunk = await result.fetchChunk();
    chunk !== null && chunk.rowCount > 0;
    chunk = await result.fetchChunk()
  ) {
    const values = names.map((_, column) => chunk.getColumnValues(column))
    for (let row = 0; row < chunk.rowCount; row += 1) {
      text += first ? '{"values":{' : ',{"values":{'
      first = false
      for (let column = 0; column < keys.length; column += 1)
        text += `${column === 0 ? '' : ','}${keys[column]}:${typed(values[column]![row], kinds[column]!)}`
      text += '}}'
      if (text.length > PIECE_CHARS) {
        yield text
        text = ''
      }
    }
  }
  yield `${text}],"aggregations":null,"error_message":null,"query_events":[],"order_by":[],"limit":null,"distinct":false,"group_by_columns":[],"table_names":[]}`
}

function kindOf(type: string): 'Boolean' | 'Integer' | 'Float' | 'String' {
  if (type === 'BOOLEAN') return 'Boolean'
  if (/^U?(?:TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)$/.test(type) || type === 'BIGNUM') return 'Integer'
  if (/^(?:FLOAT|DOUBLE|DECIMAL\(\d+,\d+\))$/.test(type)) return 'Float'
  return 'String'
}

/** `{"Integer":12}`, numbers with every digit. */
function typed(value: unknown, kind: string): string {
  if (value === null || value === undefined) return '{"Null":null}'
  if (kind === 'Boolean') return `{"Boolean":${value === true}}`
  if (kind === 'Integer') return `{"Integer":${String(value)}}`
  // NaN and infinities are no JSON numbers.
  if (kind === 'Float' && Number.isFinite(Number(value))) return `{"Float":${String(value)}}`
  return `{"String":${JSON.stringify(String(value))}}`
}
