// Loads two public files into a local Infino in a temporary directory, and asks for an answer in SQL.
// Needs nothing but this package: no account, no server, no other program.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { csvSource, describeLedger, from, infinoClient, infinoUploadSink, jsonSource } from 'infino-etl'
import { startLocalInfino } from 'infino-etl/local'

const data = (name) => fileURLToPath(new URL(`../node_modules/vega-datasets/data/${name}`, import.meta.url))

const dir = await mkdtemp(join(tmpdir(), 'quickstart-'))
const { url: endpoint, accessKey, secretKey, close } = await startLocalInfino({ dir })
const connection = { endpoint, accessKey, secretKey }
try {
  const airports = await from(csvSource(data('airports.csv')))
    .to(infinoUploadSink({ ...connection, dataset: 'airports', id: 'iata' }))
    .run()
  console.log(`airports.csv: ${describeLedger(airports.ledger)}`)

  const movies = await from(jsonSource(data('movies.json')))
    .filter((movie) => movie['IMDB Rating'] !== null)
    .map((movie) => ({ title: movie.Title, rating: movie['IMDB Rating'], genre: movie['Major Genre'] }))
    .to(infinoUploadSink({ ...connection, dataset: 'movies' }))
    .run()
  console.log(`movies.json: ${describeLedger(movies.ledger)}`)

  const infino = infinoClient(connection)
  const { rows } = await infino.sql(
    'SELECT state, count(*) AS airports FROM airports GROUP BY state ORDER BY 2 DESC LIMIT 3',
  )
  console.table(rows)
  const best = await infino.sql(
    'SELECT genre, round(avg(rating), 2) AS rating FROM movies GROUP BY genre ORDER BY 2 DESC LIMIT 3',
  )
  console.table(best.rows)
  await infino.close()
} finally {
  await close()
  await rm(dir, { recursive: true, force: true })
}
