/** How real router processes spread requests, with each engine. */
import { mkdtemp, rm } from 'node:fs/promises'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { defaultProjectRules, type ProjectRules } from '@/shared/project-rules'
import type { Route, Target } from '@/shared/route-table'
import { freePort } from '@/test/support/ports'
import { bundleRouters, type Routers } from '@/test/support/routers'
import { LinkHub } from './hub'

const timeoutMs = 20_000
let routers: Routers
let home: string
let hub: LinkHub
let version = 0
const apps: http.Server[] = []

beforeAll(async () => {
  routers = await bundleRouters()
  home = await mkdtemp(path.join(tmpdir(), 'sy-balance-'))
  hub = new LinkHub({ socketPath: path.join(home, 'run/edge.sock'), expectedWorkers: 1 })
  await hub.start()
})
afterAll(async () => {
  await routers.close()
  await hub.close()
  await rm(home, { recursive: true, force: true })
})
afterEach(async () => {
  for (const app of apps.splice(0)) {
    app.closeAllConnections()
    await new Promise<void>((resolve) => app.close(() => resolve()))
  }
})

/** An app that says which one it is; requests to /hold wait until they are let go. */
async function startApp(name: string): Promise<{ target: Target; held: http.ServerResponse[]; most: () => number }> {
  const held: http.ServerResponse[] = []
  let open = 0
  let most = 0
  const server = http.createServer((req, res) => {
    most = Math.max(most, ++open)
    res.once('close', () => open--)
    if (req.url?.startsWith('/hold')) held.push(res)
    else res.end(name)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  apps.push(server)
  return { target: { instanceId: name, host: '127.0.0.1', port: (server.address() as AddressInfo).port }, held, most: () => most }
}

interface Answer {
  status: number
  headers: http.IncomingHttpHeaders
  body: string
}

function get(port: number, pathname = '/', cookie?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { Host: 'app.test', ...(cookie ? { Cookie: cookie } : {}) }
    const req = http.get({ port, host: '127.0.0.1', path: pathname, headers, agent: false, timeout: timeoutMs }, (res) => {
      let body = ''
      res.on('data', (chunk: Buffer) => {
        body += chunk.toString()
      })
      res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, body }))
    })
    req.on('error', reject)
  })
}

async function publish(targets: Target[], policy: Partial<ProjectRules>, extra: Partial<Route> = {}): Promise<void> {
  const names = { teamId: 't', projectId: 'p', projectName: 'shop', deploymentId: 'd' }
  const route: Route = { host: 'app.test', ...names, state: 'live', targets, policy: 'x', ...extra }
  const policies = { x: { ...defaultProjectRules, cache: false, ...policy } }
  await hub.publish(
    { version: ++version, generatedAt: new Date().toISOString(), dashboardUrl: '', routes: [route], policies },
    { deadlineMs: timeoutMs },
  )
}

async function until(what: string, condition: () => boolean): Promise<void> {
  for (const end = Date.now() + timeoutMs; !condition(); ) {
    if (Date.now() > end) throw new Error(`never happened: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

describe.each(['http-proxy', 'lean'])('the %s engine', (engine) => {
  let port: number
  beforeAll(async () => {
    port = await freePort()
    await routers.startWorker({ home, port, id: 0, env: { EDGE_ENGINE: engine } })
  })

  test('takes turns, or keeps visitors where they were, as the project asks', async () => {
    const [one, two] = [await startApp('one'), await startApp('two')]
    await publish([one.target, two.target], { balance: 'round-robin' })
    const turns: string[] = []
    for (let i = 0; i < 10; i++) turns.push((await get(port)).body)
    expect(turns.filter((name) => name === 'one')).toHaveLength(5)

    await publish([one.target, two.target], { sticky: true })
    const first = await get(port)
    const cookie = first.headers['set-cookie']?.[0] ?? ''
    expect(cookie).toMatch(/^sy_target=[\w-]+; Path=\/; HttpOnly; SameSite=Lax$/)
    for (let i = 0; i < 10; i++) {
      const again = await get(port, '/', `a=b; ${cookie.split(';')[0]}`)
      expect(again.body).toBe(first.body)
      expect(again.headers['set-cookie']).toBeUndefined()
    }
    await publish([first.body === 'one' ? two.target : one.target], { sticky: true })
    const moved = await get(port, '/', cookie.split(';')[0])
    expect(moved.body).not.toBe(first.body)
    expect(moved.headers['set-cookie']).toHaveLength(1)
  })

  test('holds requests beyond an instance’s limit until there is room, and says that the app is busy when there is none', async () => {
    const app = await startApp('limited')
    await publish([app.target], { maxRequestsPerTarget: 2, queueTimeoutMs: 700 })
    const holding = [get(port, '/hold'), get(port, '/hold')]
    await until('both are at the app', () => app.held.length === 2)
    const late = await get(port)
    expect(late.status).toBe(503)
    expect(late.headers['retry-after']).toBe('5')
    expect(late.body).toContain('too long')
    const waiting = Array.from({ length: 6 }, () => get(port))
    for (const res of app.held.splice(0)) res.end('held')
    for (const answer of await Promise.all([...waiting, ...holding])) expect(answer.status).toBe(200)
    expect(app.most()).toBe(2)
    expect(await hub.inFlight(['limited'], { deadlineMs: timeoutMs })).toEqual({ limited: 0 })
  })

  test('a client that leaves the queue takes nobody’s place', async () => {
    const app = await startApp('patient')
    await publish([app.target], { maxRequestsPerTarget: 1, queueTimeoutMs: timeoutMs })
    const holding = get(port, '/hold')
    await until('it is at the app', () => app.held.length === 1)
    const leaving = http.get({ port, host: '127.0.0.1', path: '/hold?left', headers: { Host: 'app.test' }, agent: false }).on('error', () => {})
    await new Promise<void>((resolve) => leaving.once('finish', () => resolve()))
    const behind = get(port, '/behind')
    leaving.destroy()
    app.held.splice(0)[0]?.end('held')
    expect((await holding).status).toBe(200)
    expect((await behind).status).toBe(200)
    await expect.poll(() => hub.inFlight(['patient'], { deadlineMs: timeoutMs }), { timeout: timeoutMs }).toEqual({ patient: 0 })
  })

  test('one of two instances dead: no visitor sees it', async () => {
    const app = await startApp('alive')
    const dead: Target = { instanceId: 'dead', host: '127.0.0.1', port: await freePort() }
    await publish([app.target, dead], {})
    for (let i = 0; i < 40; i++) expect((await get(port)).body).toBe('alive')
  })

  test('a request for a sleeping deployment is held, wakes it once, and is served by what comes up', async () => {
    const app = await startApp('awake')
    const asked: string[] = []
    hub.messages.onAsk('wake', async ({ deploymentId }) => {
      asked.push(deploymentId)
      return { accepted: true }
    })
    await publish([], {}, { state: 'sleeping' })
    const waiting = Array.from({ length: 5 }, () => get(port))
    await until('it was asked to wake', () => asked.length > 0)
    await publish([app.target], {})
    for (const answer of await Promise.all(waiting)) expect(answer).toMatchObject({ status: 200, body: 'awake' })
    expect(asked).toEqual(['d'])
    hub.messages.onAsk('wake', async () => ({ accepted: false }))
    await publish([], {}, { state: 'sleeping' })
    expect(await get(port)).toMatchObject({ status: 503, body: expect.stringContaining('put to sleep') })
  })
})
