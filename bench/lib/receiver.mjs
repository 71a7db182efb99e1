// Starts the receiver and asks it.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { fileURLToPath } from 'node:url'

export async function startReceiver() {
  const child = fork(fileURLToPath(new URL('../receiver.mjs', import.meta.url)))
  const [{ port }] = await once(child, 'message')
  const ask = async (message) => {
    child.send(message)
    return (await once(child, 'message'))[0]
  }
  return {
    url: `http://127.0.0.1:${port}`,
    reset: (check) => ask({ ask: 'reset', check }),
    stats: () => ask({ ask: 'stats' }),
    stop: () => child.disconnect(),
  }
}

/** Rows per second that the receiver takes when nothing is made on the other side: the same body, four at a time. */
export async function capacityOf(receiver, rowBytes, seconds) {
  const row = `{"index":{"_id":"capacity.0.1000000"}}\n{"pad":"${'x'.repeat(rowBytes - 11)}"}\n`
  const body = Buffer.from(row.repeat(Math.floor(3_355_443 / row.length)))
  const agent = new Agent({ keepAlive: true, maxSockets: 4 })
  const post = () =>
    new Promise((resolve, reject) => {
      const sent = request(`${receiver.url}/bench/json`, {
        method: 'POST',
        agent,
        headers: { 'content-length': body.length },
      })
      sent.on('response', (response) => response.resume().on('end', resolve))
      sent.on('error', reject)
      sent.end(body)
    })
  await Promise.all([post(), post(), post(), post()])
  await receiver.reset(false)
  const before = await receiver.stats()
  const started = performance.now()
  const until = started + seconds * 1000
  const lane = async () => {
    while (performance.now() < until) await post()
  }
  await Promise.all([lane(), lane(), lane(), lane()])
  const ms = performance.now() - started
  const after = await receiver.stats()
  agent.destroy()
  const cpuMs = (after.cpu.user + after.cpu.system - before.cpu.user - before.cpu.system) / 1000
  return {
    rowBytes,
    rowsPerSecond: Math.round((after.rows / ms) * 1000),
    bytesPerSecond: Math.round((after.bytes / ms) * 1000),
    /** Rows per second of the receiver's own CPU time, which is what bounds it with a core to itself. */
    rowsPerCpuSecond: Math.round((after.rows / cpuMs) * 1000),
  }
}
