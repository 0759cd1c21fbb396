/** Real router processes on the real control socket. */
import type { ChildProcess } from 'node:child_process'
import { mkdtemp, rm, stat, truncate, writeFile } from 'node:fs/promises'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { start } from '@/shared/node/exec'
import type { RouteTable, Target } from '@/shared/route-table'
import { freePort } from '@/test/support/ports'
import { until as eventually } from '@/test/support/processes'
import { bundleRouters, killed, type Routers, workerEnv } from '@/test/support/routers'
import { LinkHub } from './hub'

let routers: Routers

beforeAll(async () => {
  routers = await bundleRouters()
})
afterAll(() => routers.close())

let home: string
let port: number
let app: http.Server
let target: Target
/** Requests to /slow that the app holds back. */
const held: http.ServerResponse[] = []
const hubs: LinkHub[] = []

beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'switchyard-home-'))
  app = http.createServer((req, res) => {
    if (req.url === '/slow') held.push(res)
    else res.end('app')
  })
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve))
  target = { instanceId: 'i1', host: '127.0.0.1', port: (app.address() as AddressInfo).port }
  port = await freePort()
})
afterEach(async () => {
  await routers.close(false)
  for (const hub of hubs.splice(0)) await hub.close()
  for (const res of held.splice(0)) res.destroy()
  app.closeAllConnections()
  await new Promise<void>((resolve) => app.close(() => resolve()))
  await rm(home, { recursive: true, force: true })
})

const env = { EDGE_DRAIN_TIMEOUT_MS: '10000' }
const startWorker = (id: number) => routers.startWorker({ home, port, id, env })
const until = (what: string, condition: () => boolean | Promise<boolean>) => eventually(what, 20_000, condition)

async function startHub(expectedWorkers: number): Promise<LinkHub> {
  const hub = new LinkHub({ socketPath: path.join(home, 'run/edge.sock'), expectedWorkers })
  hubs.push(hub)
  await hub.start()
  return hub
}

let version = 0
function table(host = 'app.test', targets: Target[] = [target]): RouteTable {
  const route = { host, teamId: 't', projectId: 'p', projectName: 'shop', deploymentId: 'd', state: 'live' as const, targets }
  return { version: ++version, generatedAt: new Date().toISOString(), dashboardUrl: 'http://localhost:3000', routes: [route] }
}

function get(host = 'app.test', pathname = '/'): Promise<number> {
  return new Promise((resolve, reject) => {
    const req = http.get({ port, host: '127.0.0.1', path: pathname, headers: { Host: host }, agent: false }, (res) => {
      res.resume()
      res.on('end', () => resolve(res.statusCode ?? 0))
      res.on('error', reject)
    })
    req.on('error', reject)
  })
}

describe('publishing', () => {
  test('resolves when every worker serves the table, and each connection finds it so', async () => {
    await Promise.all([startWorker(0), startWorker(1)])
    const hub = await startHub(2)
    expect(await hub.publish(table(), { deadlineMs: 10_000 })).toEqual({ acknowledged: 2 })
    for (let i = 0; i < 40; i++) expect(await get()).toBe(200)
    for (let i = 0; i < 10; i++) {
      const host = `next-${i}.test`
      await hub.publish(table(host), { deadlineMs: 10_000 })
      for (let j = 0; j < 10; j++) expect(await get(host)).toBe(200)
    }
    expect(hub.status()).toMatchObject({
      version,
      expectedWorkers: 2,
      workers: [
        { listening: true, version },
        { listening: true, version },
      ],
    })
  })

  test('a table that is invalid is refused at once, and the one before goes on serving', async () => {
    await startWorker(0)
    const hub = await startHub(1)
    await hub.publish(table(), { deadlineMs: 10_000 })
    const twice = table()
    twice.routes.push(...twice.routes.map((route) => ({ ...route, host: 'APP.test' })))
    await expect(hub.publish(twice, { deadlineMs: 60_000 })).rejects.toMatchObject({
      code: 'ERR_CUTOVER',
      message: expect.stringContaining('two routes'),
    })
    expect(await get()).toBe(200)
    expect(await hub.publish(table(), { deadlineMs: 10_000 })).toEqual({ acknowledged: 1 })
  })

  test('names the workers that did not take over, and gives the table to them when they come', async () => {
    await startWorker(0)
    const hub = await startHub(2)
    const late = table('late.test')
    await expect(hub.publish(late, { deadlineMs: 500 })).rejects.toMatchObject({
      code: 'ERR_CUTOVER',
      message: expect.stringMatching(/1 \(not connected\)/),
    })
    await startWorker(1)
    await until('both workers serve it', () => hub.status().workers.filter((worker) => worker.version === late.version).length === 2)
  })

  test('a worker that restarts meanwhile counts once it serves the newest table', async () => {
    await startWorker(0)
    const second = await startWorker(1)
    const hub = await startHub(2)
    await until('both are connected', () => hub.status().workers.length === 2)
    await killed(second)
    await until('it is gone', () => hub.status().workers.length === 1)
    const published = hub.publish(table(), { deadlineMs: 20_000 })
    await startWorker(1)
    expect(await published).toEqual({ acknowledged: 2 })
  })

  test('requests in flight are summed over the workers', async () => {
    await Promise.all([startWorker(0), startWorker(1)])
    const hub = await startHub(2)
    await hub.publish(table(), { deadlineMs: 10_000 })
    const slow = Array.from({ length: 12 }, () => get('app.test', '/slow'))
    await until('all are at the app', () => held.length === 12)
    expect(await hub.inFlight(['i1', 'other'], { deadlineMs: 5_000 })).toEqual({ i1: 12, other: 0 })
    for (const res of held.splice(0)) res.end('done')
    await Promise.all(slow)
    await until('none is left', async () => (await hub.inFlight(['i1'], { deadlineMs: 5_000 })).i1 === 0)
  })
})

describe('surviving', () => {
  test('a worker killed under load: the other serves, and only requests on the dead one fail', async () => {
    const [first] = await Promise.all([startWorker(0), startWorker(1)])
    const hub = await startHub(2)
    await hub.publish(table(), { deadlineMs: 10_000 })
    let failed = 0
    let served = 0
    let loading = true
    const load = Array.from({ length: 8 }, async () => {
      while (loading)
        await get().then(
          () => served++,
          () => failed++,
        )
    })
    await until('load runs', () => served > 100)
    await killed(first as ChildProcess)
    const before = served
    await until('the other goes on', () => served > before + 100)
    loading = false
    await Promise.all(load)
    expect(failed).toBeLessThanOrEqual(8)
    const restarted = await startWorker(0)
    expect(restarted.pid).toBeDefined()
    for (let i = 0; i < 20; i++) expect(await get()).toBe(200)
  })

  test('with no control plane it boots from the last good table, even when the file is cut', async () => {
    const first = await startWorker(0)
    const hub = await startHub(1)
    await hub.publish(table('one.test'), { deadlineMs: 10_000 })
    await hub.publish({ ...table('two.test') }, { deadlineMs: 10_000 })
    await hub.close()
    await killed(first)
    const second = await startWorker(0)
    expect(await get('two.test')).toBe(200)
    await killed(second)
    const file = path.join(home, 'run/route-table.json')
    await truncate(file, (await stat(file)).size - 1)
    const third = await startWorker(0)
    expect(await get('one.test')).toBe(200)
    expect(await get('two.test')).toBe(404)
    await killed(third)
    for (const name of ['route-table.json', 'route-table.previous.json']) await writeFile(path.join(home, 'run', name), 'garbage')
    await startWorker(0)
    expect(await get('one.test')).toBe(404)
  })

  test('it outlives its supervisor and the control plane, and follows the next control plane', async () => {
    const parentScript = `const {spawn}=require('child_process');const c=spawn(process.execPath,[${JSON.stringify(routers.bundle)}],{env:process.env,stdio:['ignore','pipe','pipe','ipc'],detached:true});c.on('message',()=>console.log(c.pid))`
    const parent = start([process.execPath, '-e', parentScript], {
      env: workerEnv({ home, port, id: 0, env: { ...env, EDGE_LOG_LEVEL: 'debug' } }) as unknown as NodeJS.ProcessEnv,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const pid = await new Promise<number>((resolve) => parent.stdout?.once('data', (text: Buffer) => resolve(Number(text.toString()))))
    try {
      const hub = await startHub(1)
      await hub.publish(table(), { deadlineMs: 10_000 })
      await killed(parent)
      await hub.close()
      // Both ends of its output are gone now; faults, which are logged, must not end it.
      for (let i = 0; i < 20; i++) expect(await get()).toBe(200)
      const next = await startHub(1)
      await next.publish(table('app.test', [{ ...target, port: 1 }]), { deadlineMs: 10_000 })
      for (let i = 0; i < 20; i++) expect(await get()).toBe(502)
      await next.publish(table(), { deadlineMs: 10_000 })
      expect(await get()).toBe(200)
      expect(next.status().workers).toMatchObject([{ pid }])
    } finally {
      await killed(parent)
      process.kill(pid, 'SIGKILL')
    }
  })

  test('SIGTERM: what is in flight finishes, then it ends with 0 while another serves', async () => {
    const [first] = await Promise.all([startWorker(0)])
    const hub = await startHub(1)
    await hub.publish(table(), { deadlineMs: 10_000 })
    const slow = get('app.test', '/slow')
    await until('it is at the app', () => held.length === 1)
    await startWorker(0)
    const ended = killed(first as ChildProcess, 'SIGTERM')
    await until('it no longer accepts', () => hub.status().workers.some((worker) => !worker.listening))
    for (let i = 0; i < 20; i++) expect(await get()).toBe(200)
    expect((await hub.inFlight(['i1'], { deadlineMs: 5_000 })).i1).toBe(1)
    held.splice(0)[0]?.end('done')
    expect(await slow).toBe(200)
    expect(await ended).toBe(0)
  })
})

describe('the socket', () => {
  test('is for its owner alone, replaces a leftover, and refuses a second control plane', async () => {
    await startHub(1)
    const socketPath = path.join(home, 'run/edge.sock')
    expect((await stat(socketPath)).mode & 0o777).toBe(0o600)
    await expect(startHub(1)).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
    hubs.pop()
    await hubs.pop()?.close()
    await writeFile(socketPath, '')
    await startHub(1)
  })

  test('a peer that talks nonsense or without end is cut off, the others are not', async () => {
    await startWorker(0)
    const hub = await startHub(1)
    for (const bytes of ['nonsense\n', '{"type":"hello"}\n', 'x'.repeat(17 * 1024 * 1024)]) {
      const socket = net.connect(path.join(home, 'run/edge.sock')).on('error', () => {})
      const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
      socket.write(bytes)
      await closed
    }
    expect(await hub.publish(table(), { deadlineMs: 10_000 })).toEqual({ acknowledged: 1 })
  })
})
