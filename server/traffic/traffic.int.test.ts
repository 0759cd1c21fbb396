/** What visitors do, through real router processes, the hub and the database, to what people and Prometheus read. */
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '@/shared/node/ids'
import type { Route, Target } from '@/shared/route-table'
import type { RequestView } from '@/shared/traffic'
import { projectInput } from '@/shared/views'
import { createTestApi, type TestApi } from '@/test/support/api'
import { freePorts } from '@/test/support/ports'
import { until as untilWithin } from '@/test/support/processes'
import { bundleRouters, type Routers } from '@/test/support/routers'
import type { Actor } from '../actor'
import { createChallengeBoard } from '../link/challenges'
import { LinkHub } from '../link/hub'
import { startTrafficIngest, type TrafficIngest } from './ingest'
import { createTraffic } from './traffic'

const workers = 2
const logger = pino({ level: 'silent' })
const until = (what: string, condition: () => unknown) => untilWithin(what, 20_000, condition)
let api: TestApi
let routers: Routers
let hub: LinkHub
let ingest: TrafficIngest
let traffic: ReturnType<typeof createTraffic>
let app: http.Server
let port: number
let deadPort: number
let actor: Actor
let stranger: Actor
let version = 0

beforeAll(async () => {
  api = await createTestApi({ email: 'owner@example.org', password: 'of this test', apiKey: null })
  routers = await bundleRouters()
  ;[port, deadPort] = (await freePorts(2)) as [number, number]
  app = http.createServer((req, res) => {
    res.statusCode = Number(new URL(req.url ?? '/', 'http://x').searchParams.get('status') ?? 200)
    res.end('hello')
  })
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve))
  hub = new LinkHub({ socketPath: path.join(api.home, 'run/edge.sock'), expectedWorkers: workers })
  await hub.start()
  const { pool, prisma } = api.database
  ingest = startTrafficIngest({ hub, pool, bus: api.bus, logger })
  traffic = createTraffic({ prisma, pool, bus: api.bus, edge: { hub, totals: ingest.totals } })
  for (let id = 0; id < workers; id++) await routers.startWorker({ home: api.home, port, id, env: { EDGE_ACCESS_LOG: 'all' } })
  actor = await api.actorOf(api.boot.teamId, 'owner')
  stranger = await api.actorOf(await api.addTeam('other'), 'owner')
})
afterAll(async () => {
  await routers.close()
  await hub.close()
  await ingest.stop()
  app.closeAllConnections()
  app.close()
  await api.close()
})

/** A project with running instances in the record, and a host that leads to them. */
async function liveProject(ports: number[]): Promise<{ projectId: string; slug: string; host: string; instances: string[]; route: Route }> {
  const { prisma } = api.database
  const { id: projectId, slug } = await api.platform.projects.create(actor, projectInput.parse({ name: newId() }))
  const { id: environmentId } = await prisma.environment.findFirstOrThrow({ where: { projectId } })
  const [deploymentId, artifactId, releaseId] = [newId(), newId(), newId()]
  const base = { teamId: actor.teamId, projectId }
  const digest = `sha256:${'0'.repeat(64)}`
  const source = { kind: 'archive', digest }
  await prisma.deployment.create({
    data: { ...base, id: deploymentId, environmentId, status: 'ACTIVE', triggeredBy: 'API', source, artifactId, releaseId },
  })
  await prisma.artifact.create({
    data: { ...base, id: artifactId, kind: 'bundle', digest, buildKey: newId(), sizeBytes: 1, framework: 'node', metadata: {} },
  })
  await prisma.release.create({ data: { ...base, id: releaseId, environmentId, deploymentId, artifactId, config: {}, variables: new Uint8Array(1) } })
  const targets: Target[] = ports.map((at) => ({ instanceId: newId(), host: '127.0.0.1', port: at }))
  for (const { instanceId: id } of targets)
    await prisma.instance.create({
      data: { ...base, id, environmentId, deploymentId, releaseId, runtime: 'process', slot: 'blue', state: 'healthy' },
    })
  const host = `${slug}.test`.toLowerCase()
  const route: Route = { host, ...base, projectName: slug, deploymentId, state: 'live', targets }
  return { projectId, slug, host, instances: targets.map((target) => target.instanceId), route }
}

const publish = (routes: Route[]) =>
  hub.publish({ version: ++version, generatedAt: new Date().toISOString(), dashboardUrl: 'http://localhost:3000', routes }, { deadlineMs: 20_000 })

function get(host: string, pathname = '/', agent: http.Agent | false = false): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { Host: host, 'User-Agent': 'test "agent"\t' }
    const req = http.get({ port, host: '127.0.0.1', path: pathname, headers, agent }, (res) => {
      res.resume()
      res.on('end', () => resolve(res.statusCode ?? 0))
    })
    req.on('error', reject)
  })
}
const appPort = () => (app.address() as AddressInfo).port
const times = async (count: number, act: (i: number) => Promise<unknown>) => {
  for (let i = 0; i < count; i++) await act(i)
}

describe('a project with visitors', () => {
  test('what the domain doctor or a CA asks is no visit; the same path without its token is', async () => {
    const shop = await liveProject([appPort()])
    await publish([shop.route])
    const board = createChallengeBoard(hub.messages)
    const withdraw = await board.offerHttp('switchyard-token-of-a-check', 'the answer')
    const ask = (token: string) => get(`${shop.host}:8443`, `/.well-known/acme-challenge/${token}`)
    await times(10, () => ask('switchyard-token-of-a-check'))
    await ask('switchyard-guessed')
    await withdraw()
    await ask('switchyard-token-of-a-check')
    const lines = async () => (await traffic.requests(actor, shop.projectId, { limit: 100 })).items
    await until('all are written down', async () => (await lines()).length === 12)
    expect((await lines()).filter(({ reason }) => reason === 'acme-challenge')).toHaveLength(10)
    expect(new Set((await lines()).map((line) => line.port))).toEqual(new Set([8443]))
    // The counts of a second are told together: those that came last are there, so would be the others.
    await until('the others are counted', async () => (await traffic.series(actor, shop.projectId, { range: '1h' })).total.requests > 1)
    expect((await traffic.series(actor, shop.projectId, { range: '1h' })).total.requests).toBe(2)
  })

  test('every request of all workers is counted, by status, host and instance, for its team alone', async () => {
    const shop = await liveProject([appPort()])
    await publish([shop.route])
    await times(60, (i) => get(shop.host, i % 10 === 0 ? '/missing?status=404' : '/'))
    await times(5, () => get(shop.host, '/broken?status=500'))
    await until('all are counted', async () => (await traffic.series(actor, shop.projectId, { range: '1h' })).total.requests === 65)
    const series = await traffic.series(actor, shop.projectId, { range: '1h' })
    expect(series.total.statuses).toEqual([0, 0, 54, 0, 6, 5])
    expect(series.total.bytesOut).toBeGreaterThanOrEqual(65 * 'hello'.length)
    expect(series.total.p50).toBeGreaterThan(0)
    expect(series.total.p99).toBeGreaterThanOrEqual(series.total.p50 ?? 0)
    expect(series.points).toHaveLength(60)
    expect(series.points.reduce((sum, point) => sum + point.requests, 0)).toBe(65)
    expect(series.hosts).toMatchObject([{ host: shop.host, requests: 65 }])
    expect(series.instances).toMatchObject([{ instanceId: shop.instances[0], deploymentId: shop.route.deploymentId, requests: 65 }])
    expect((await traffic.series(actor, shop.projectId, { range: '24h', host: 'other.test' })).total.requests).toBe(0)
    await expect(traffic.series(stranger, shop.projectId, { range: '1h' })).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
    expect(await traffic.metrics(stranger)).not.toContain(shop.slug)
  })

  test('errors are all written down with what happened, and can be searched', async () => {
    const broken = await liveProject([deadPort])
    await publish([broken.route])
    await times(12, (i) => get(broken.host, `/page-${i}?q=A%25B`))
    const list = (filter: object = {}) => traffic.requests(actor, broken.projectId, { limit: 100, ...filter })
    await until('all are written', async () => (await list()).items.length === 12)
    const newest = (await list()).items.find((item) => item.target.startsWith('/page-11?'))
    expect(newest).toMatchObject({ status: 502, method: 'GET', target: '/page-11?q=A%25B', host: broken.host, clientIp: '127.0.0.1', scheme: 'http' })
    expect(newest?.userAgent).toContain('test "agent"')
    expect(newest?.reason).toBeTruthy()
    expect((await list({ path: 'PAGE-7' })).items).toHaveLength(1)
    expect((await list({ path: 'a%25b' })).items).toHaveLength(12)
    expect((await list({ path: '%' })).items).toHaveLength(12)
    expect((await list({ path: 'page_7' })).items).toHaveLength(0)
    expect((await list({ status: '5xx' })).items).toHaveLength(12)
    expect((await list({ status: '404' })).items).toHaveLength(0)
    expect((await list({ requestId: newest?.requestId })).items).toHaveLength(1)
    const first = await list({ limit: 5 })
    const second = await traffic.requests(actor, broken.projectId, { limit: 100, cursor: first.nextCursor ?? '' })
    expect([...first.items, ...second.items].map((item) => item.target)).toEqual((await list()).items.map((item) => item.target))
    expect(second.nextCursor).toBeNull()
  })

  test('while somebody looks, every request is told once, in the order of its router, and a lost connection goes on where it was', async () => {
    const watched = await liveProject([appPort()])
    await publish([watched.route])
    const seen: RequestView[] = []
    const ended = new AbortController()
    const read = async (after: string | undefined, signal: AbortSignal, filter: object = {}) => {
      for await (const request of traffic.follow(actor, watched.projectId, { after, signal, ...filter })) seen.push(request)
    }
    const first = new AbortController()
    const reading = read(undefined, first.signal)
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    const burst = async (name: string) => times(60, (i) => get(watched.host, `/${name}/${i}`, agent))
    const of = (name: string) => seen.filter((request) => request.target.startsWith(`/${name}/`)).map((request) => request.target)
    // Before the router knows that somebody looks it tells of a few: it knows once a burst is told whole.
    let warm = 0
    await until('the router knows', async () => {
      const name = `warm-${warm++}`
      await burst(name)
      for (let tries = 0; tries < 100 && of(name).length < 60; tries++) await new Promise((resolve) => setTimeout(resolve, 20))
      return of(name).length === 60
    })
    await burst('first')
    await until('the first burst is seen', () => of('first').length === 60)
    first.abort()
    await reading
    await burst('away')
    const resumed = read(seen.at(-1)?.id, ended.signal)
    await until('what was missed is seen', () => of('away').length === 60)
    // All over one connection, so by one router.
    expect(of('first')).toEqual(Array.from({ length: 60 }, (_, i) => `/first/${i}`))
    expect(of('away')).toEqual(Array.from({ length: 60 }, (_, i) => `/away/${i}`))
    expect(new Set(seen.map((request) => request.id)).size).toBe(seen.length)
    ended.abort()
    await resumed
    agent.destroy()
    await expect(traffic.follow(stranger, watched.projectId, { signal: ended.signal })[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
    })
  })

  test('a dead instance is ejected without a failed visit, and the project and Prometheus say so', async () => {
    const half = await liveProject([appPort(), deadPort])
    await publish([half.route])
    await until('it is ejected', async () => {
      await times(20, async () => expect(await get(half.host)).toBe(200))
      return (await traffic.targetEvents(actor, half.projectId)).length > 0
    })
    expect((await traffic.targetEvents(actor, half.projectId))[0]).toMatchObject({
      instanceId: half.instances[1],
      state: 'ejected',
      reason: expect.stringContaining('refused the connection'),
    })
    const text = await traffic.metrics(actor)
    expect(text).toMatch(new RegExp(`^switchyard_instance_ejected_routers\\{project="${half.slug}",instance="${half.instances[1]}"\\} [12]$`, 'm'))
    expect(text).toMatch(new RegExp(`^switchyard_http_requests_in_flight\\{project="${half.slug}",instance="${half.instances[0]}"\\} 0$`, 'm'))
  })
})

test('a scrape is valid, its histogram adds up, and holds what was counted', async () => {
  const text = await traffic.metrics(actor)
  for (const line of text.trimEnd().split('\n'))
    expect(line).toMatch(/^(# (HELP|TYPE) switchyard_\w+ .+|switchyard_\w+(\{(\w+="[^"]*",?)+\})? [\d.e+-]+)$/)
  expect(text).toMatch(/^switchyard_routers_connected 2$/m)
  const hosts = [...text.matchAll(/_bucket\{project="([^"]+)",host="[^"]+",le="\+Inf"\} (\d+)/g)]
  expect(hosts.length).toBeGreaterThan(0)
  for (const [, project, count] of hosts) {
    const classes = [...text.matchAll(new RegExp(`^switchyard_http_requests_total\\{project="${project}",.* (\\d+)$`, 'gm'))]
    expect(classes.reduce((sum, [, value]) => sum + Number(value), 0)).toBe(Number(count))
  }
})

test('reports that make no sense, or name what does not exist, change nothing and end nothing', async () => {
  const peer = { name: '9 (pid 9)', listening: true, send: () => {} }
  const report = (kind: string, value: unknown) => hub.messages.handle(peer, { type: 'report', kind, report: value })
  for (const kind of ['traffic', 'access', 'health']) for (const value of [null, 1, {}, { counters: [{}] }, { lines: [{}] }]) report(kind, value)
  report('health', { events: [{ instanceId: 'nobody', state: 'ejected', reason: 'x', at: Date.now() }] })
  const counters = { deploymentId: null, host: 'x', instanceId: null, requests: 1, durationMs: 1, bytesIn: 0, bytesOut: 0, cacheHits: 0 }
  const latency = Array.from({ length: 15 }, () => 0)
  report('traffic', { from: 0, to: Date.now(), counters: [{ ...counters, projectId: 'nobody', statuses: [0, 0, 1, 0, 0, 0], latency }] })
  const project = await liveProject([appPort()])
  await publish([project.route])
  await get(project.host)
  await until('traffic goes on', async () => (await traffic.series(actor, project.projectId, { range: '1h' })).total.requests === 1)
  expect(await api.database.prisma.trafficMinute.count({ where: { projectId: 'nobody' } })).toBe(0)
})
