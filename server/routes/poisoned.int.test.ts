/** The real database, the real hub and a real router: one project's bad rows are one project's trouble. */
import { mkdtemp, rm } from 'node:fs/promises'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import pino from 'pino'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Builder } from '@/builder/builder'
import { newId } from '@/shared/node/ids'
import type { RoutingProblem } from '@/shared/routing-problems'
import { createDeploymentRow, createProject, createReleaseWithInstance, openTestDatabase } from '@/test/support/factory'
import { freePorts } from '@/test/support/ports'
import { bundleRouters, type Routers } from '@/test/support/routers'
import { LinkHub } from '../link/hub'
import { openStaticContents, type StaticContents } from '../static-content/static-content'
import { readProblems, recordProblems } from './problem-record'
import { createRoutePublisher, type RoutePublisher } from './publisher'

let db: Awaited<ReturnType<typeof openTestDatabase>>
let routers: Routers
let hub: LinkHub
let contents: StaticContents
let home: string
let port: number
let app: http.Server
let routes: RoutePublisher

beforeAll(async () => {
  db = await openTestDatabase()
  home = await mkdtemp(path.join(tmpdir(), 'sy-poisoned-'))
  routers = await bundleRouters()
  ;[port] = (await freePorts(1)) as [number]
  app = http.createServer((req, res) => res.end(`app ${req.headers['x-forwarded-host'] ?? req.headers.host}`))
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve))
  hub = new LinkHub({ socketPath: path.join(home, 'run/edge.sock'), expectedWorkers: 1 })
  await hub.start()
  contents = await openStaticContents({ home, builder: {} as Pick<Builder, 'files'>, logger: pino({ level: 'silent' }) })
  await routers.startWorker({ home, port, id: 0 })
})
afterAll(async () => {
  await routers.close()
  await hub.close()
  await new Promise<void>((resolve) => app.close(() => resolve()))
  await db.close()
  await rm(home, { recursive: true, force: true })
})
beforeEach(async () => {
  await db.pool.query('TRUNCATE "Team", "Artifact", "Event" CASCADE')
  routes = openPublisher()
})

const openPublisher = (totalWeight?: number) =>
  createRoutePublisher({
    prisma: db.prisma,
    sink: hub,
    baseDomain: 'localhost',
    dashboardUrl: 'http://localhost:3000',
    contents,
    onProblems: recordProblems({ prisma: db.prisma, bus: { publish: async () => {} }, logger: { warn: () => {} } }),
    ...(totalWeight === undefined ? {} : { totalWeight }),
  })

type Project = Awaited<ReturnType<typeof liveProject>>

async function release(owner: Awaited<ReturnType<typeof createProject>>, status: 'ACTIVE' | 'DEPLOYING') {
  const deployment = await createDeploymentRow(db.prisma, owner, { status })
  const made = await createReleaseWithInstance(db.prisma, owner, deployment.id, { state: status === 'ACTIVE' ? 'healthy' : 'starting', port: 1 })
  await db.prisma.instance.update({ where: { id: made.instance.id }, data: { host: '127.0.0.1', port: (app.address() as AddressInfo).port } })
  await db.prisma.deployment.update({ where: { id: deployment.id }, data: { artifactId: made.artifact.id } })
  return { deployment, ...made }
}

async function liveProject(slug: string) {
  const owner = await createProject(db.prisma, { slug })
  const live = await release(owner, 'ACTIVE')
  await db.prisma.environment.update({ where: { id: owner.environment.id }, data: { liveReleaseId: live.release.id } })
  return { owner, live }
}

const setRules = (project: Project, json: string) =>
  db.pool.query('UPDATE "Project" SET "edgePolicy" = $1::jsonb WHERE "id" = $2', [json, project.owner.project.id])
const setFiles = (project: Project, json: string) =>
  db.pool.query('UPDATE "Artifact" SET "edgePolicy" = $1::jsonb WHERE "id" = $2', [json, project.live.artifact.id])
const addDomain = ({ owner }: Project, hostname: string) =>
  db.prisma.domain.create({
    data: {
      id: newId(),
      teamId: owner.teamId,
      projectId: owner.project.id,
      environmentId: owner.environment.id,
      hostname,
      token: 't',
      state: 'verified',
    },
  })

async function problemsOf({ owner }: Project): Promise<RoutingProblem[]> {
  return readProblems((await db.prisma.project.findUniqueOrThrow({ where: { id: owner.project.id } })).edgeProblems)
}

function get(host: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const req = http.get({ port, host: '127.0.0.1', path: '/', headers: { Host: host }, agent: false }, (res) => {
      let body = ''
      res.setEncoding('utf8').on('data', (text: string) => {
        body += text
      })
      res.on('end', () => resolve({ status: res.statusCode ?? 0, body })).on('error', reject)
    })
    req.on('error', reject)
  })
}

/** The neighbour's cutover goes through, and its new release is what is served. */
async function expectCutover(neighbour: Project): Promise<void> {
  const next = await release(neighbour.owner, 'DEPLOYING')
  await routes.propose({ environmentId: neighbour.owner.environment.id, releaseId: next.release.id })
  expect(hub.status().workers).toMatchObject([{ version: hub.status().version }])
  expect((await get('good.localhost')).status).toBe(200)
  // The old release's own host has no target any more: the router that answers here serves the new table.
  expect((await get(`good-${neighbour.live.deployment.id}.localhost`)).status).toBe(503)
}

const closed = /the site is closed until/

test.each<[string, (bad: Project) => Promise<unknown>]>([
  ['a protection of a kind only a newer version knows', (bad) => setRules(bad, '{"protection": {"kind": "passkey"}}')],
  ['one rule of a status there is not', (bad) => setRules(bad, '{"redirects": [{"source": "/a", "destination": "/b", "status": 399}]}')],
  ['an allow list that is none', (bad) => setRules(bad, '{"allowedAddresses": "192.0.2.0/24"}')],
  ['settings that are none', (bad) => setRules(bad, '["protection"]')],
  ['settings of 20 MB', (bad) => setRules(bad, JSON.stringify({ cleanUrls: true, padding: 'x'.repeat(20_000_000) }))],
  ['expressions that need a gigabyte', (bad) => setRules(bad, JSON.stringify({ redirects: expanding(2000) }))],
  ['files with an allow list that is none', (bad) => setFiles(bad, '{"allowedAddresses": [1]}')],
])('%s: the project is closed with a page that says so, and a neighbour’s cutover goes through', async (_, poison) => {
  const [good, bad] = [await liveProject('good'), await liveProject('bad')]
  await routes.sync()
  expect([(await get('good.localhost')).status, (await get('bad.localhost')).status]).toEqual([200, 200])
  await poison(bad)
  await expectCutover(good)
  const answer = await get('bad.localhost')
  expect(answer.status).toBe(503)
  expect(answer.body).toMatch(closed)
  expect(answer.body).not.toContain('app bad')
  expect(await problemsOf(bad)).toMatchObject([
    { effect: 'closed', message: expect.stringContaining('the site is closed'), hosts: expect.arrayContaining(['bad.localhost']) },
  ])
  expect(await problemsOf(good)).toEqual([])
  expect(await db.prisma.event.findMany({ where: { kind: 'project.edge-problems' } })).toMatchObject([{ projectId: bad.owner.project.id }])
  // Set right, it is open again, and nothing is said of it any more.
  await db.pool.query('UPDATE "Project" SET "edgePolicy" = NULL')
  await db.pool.query('UPDATE "Artifact" SET "edgePolicy" = NULL')
  await routes.sync()
  expect((await get('bad.localhost')).body).toBe('app bad.localhost')
  expect(await problemsOf(bad)).toEqual([])
})

const expanding = (count: number) => {
  const has = Array.from({ length: 16 }, () => ({ type: 'header', key: 'x', value: 'a{999}' }))
  return Array.from({ length: count }, () => ({ source: '/', destination: '/b', status: 308, has }))
}

test.each<[string, (bad: Project) => Promise<unknown>]>([
  ['a domain that is no hostname', (bad) => addDomain(bad, 'bad host!')],
  [
    'one domain in two spellings',
    async (bad) => {
      await addDomain(bad, 'münchen.test')
      await addDomain(bad, 'xn--mnchen-3ya.test')
    },
  ],
  [
    'files nobody can find, of a digest that is none',
    (bad) => db.prisma.artifact.update({ where: { id: bad.live.artifact.id }, data: { digest: '../../etc', content: { root: 1 } } }),
  ],
])('%s: it is left out and named, the rest of the project serves, and a neighbour’s cutover goes through', async (_, poison) => {
  const [good, bad] = [await liveProject('good'), await liveProject('bad')]
  await routes.sync()
  await poison(bad)
  await expectCutover(good)
  expect(await get('bad.localhost')).toEqual({ status: 200, body: 'app bad.localhost' })
  const problems = await problemsOf(bad)
  expect(problems.length).toBeGreaterThan(0)
  for (const problem of problems) expect(problem).toMatchObject({ effect: 'left-out', nextAction: expect.any(String) })
})

test('a team that fills the table with rules is closed where it is beyond its share; who asks for little is served', async () => {
  routes = openPublisher(1024 * 1024)
  const [good, bad] = [await liveProject('good'), await liveProject('bad')]
  const headers = (bytes: number) => JSON.stringify({ headers: [{ source: '/', headers: [{ key: 'X-Own', value: 'x'.repeat(bytes) }] }] })
  await setRules(good, headers(1000))
  await routes.sync()
  await setRules(
    bad,
    JSON.stringify({ headers: Array.from({ length: 64 }, () => ({ source: '/', headers: [{ key: 'X-A', value: 'x'.repeat(8000) }] })) }),
  )
  await expectCutover(good)
  expect((await get('bad.localhost')).body).toMatch(closed)
  expect(await problemsOf(bad)).toMatchObject([{ effect: 'closed', message: expect.stringContaining('no room') }])
  expect(await problemsOf(good)).toEqual([])
})

test('a release whose own rules would close it does not go live; what is live stays', async () => {
  const bad = await liveProject('bad')
  await routes.sync()
  const next = await release(bad.owner, 'DEPLOYING')
  await db.pool.query('UPDATE "Artifact" SET "edgePolicy" = $1::jsonb WHERE "id" = $2', ['{"allowedAddresses": 7}', next.artifact.id])
  await expect(routes.propose({ environmentId: bad.owner.environment.id, releaseId: next.release.id })).rejects.toMatchObject({
    code: 'ERR_DETECT',
    message: expect.stringContaining('allowedAddresses: '),
    details: { nextAction: expect.stringContaining('deploy again') },
  })
  expect((await get('bad.localhost')).body).toBe('app bad.localhost')
  expect((await get(`bad-${next.deployment.id}.localhost`)).status).toBe(503)
})
