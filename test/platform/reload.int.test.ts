import { Agent, request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { deployByCli, folder, tinyServer } from '../support/journey'
import { type RunningPlatform, startPlatform } from '../support/platform'
import { until } from '../support/processes'

const visitors = 24

function ask(port: number, host: string, agent: Agent | false): Promise<string | null> {
  return new Promise((resolve) => {
    const req = request({ host: '127.0.0.1', port, headers: { host }, agent, timeout: 10_000 }, (res) => {
      res.resume()
      res.once('end', () => resolve(res.statusCode === 200 ? null : `status ${res.statusCode}`))
      res.once('error', (error) => resolve(`broke off: ${error.message}`))
    })
    req.once('timeout', () => req.destroy(new Error('no answer within 10 s')))
    req.once('error', (error) => resolve(error.message))
    req.end()
  })
}

/** Half of them connect anew for each request, half keep their connection; all ask without a pause. */
function crowd(port: number, host: string) {
  const failures: string[] = []
  let answered = 0
  let stopped = false
  const agents: Agent[] = []
  const visit = async (agent: Agent | false) => {
    while (!stopped) {
      const failure = await ask(port, host, agent)
      if (failure) failures.push(failure)
      else answered++
    }
  }
  const all = Promise.all(
    Array.from({ length: visitors }, (_, i) => {
      if (i % 2 === 0) return visit(false)
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      agents.push(agent)
      return visit(agent)
    }),
  )
  return {
    answered: () => answered,
    failures,
    async stop() {
      stopped = true
      await all
      for (const agent of agents) agent.destroy()
    },
  }
}

describe('routers under load', () => {
  let platform: RunningPlatform
  let app: Awaited<ReturnType<typeof folder>>
  const host = 'tiny.localhost'
  beforeAll(async () => {
    platform = await startPlatform({ runtime: 'process', env: { EDGE_WORKERS: '2' } })
    app = await folder(tinyServer('1'))
    expect((await deployByCli(platform, app.directory, 'tiny')).code).toBe(0)
  })
  afterAll(async () => {
    await app?.remove()
    await platform?.stop()
  })

  test('SIGHUP replaces routers and control process without one failed request', async () => {
    const before = await platform.pids()
    const load = crowd(platform.edgePort, host)
    await until('the crowd is served', 30_000, () => load.answered() > 500)
    await platform.kill('supervisor', 'SIGHUP')
    await until('every process is a new one', 60_000, async () => {
      const now = await platform.pids()
      const routersAreNew = now.router.length === before.router.length && now.router.every((pid) => !before.router.includes(pid))
      return routersAreNew && now.control.length === 1 && now.control[0] !== before.control[0]
    })
    await platform.ready()
    const sofar = load.answered()
    await until('the crowd is served on', 30_000, () => load.answered() > sofar + 500)
    await load.stop()
    expect(load.failures).toEqual([])
  })

  test('kill -9 of a router costs at most the requests it had open, and it is back', async () => {
    const before = await platform.pids()
    const load = crowd(platform.edgePort, host)
    await until('the crowd is served', 30_000, () => load.answered() > 500)
    process.kill(before.router[0] ?? 0, 'SIGKILL')
    await until('the router is back', 10_000, async () => (await platform.pids()).router.filter((pid) => pid !== before.router[0]).length === 2)
    const sofar = load.answered()
    await until('the crowd is served on', 30_000, () => load.answered() > sofar + 500)
    await load.stop()
    // Every visitor has one request open at most, so no more can have been on that worker.
    expect(load.failures.length).toBeLessThanOrEqual(visitors)
    expect(load.failures.filter((failure) => failure.startsWith('status'))).toEqual([])
  })
})
