// Serves a directory until it is killed; used to die in the middle of a write.
import { startLocalInfino } from '../../dist/local/index.js'

const infino = await startLocalInfino({ dir: process.argv[2], accessKey: 'AK', secretKey: 'SK' })
process.send({ url: infino.url, accessKey: infino.accessKey, secretKey: infino.secretKey })
process.on('message', async () => {
  await infino.close()
  process.exit(0)
})
