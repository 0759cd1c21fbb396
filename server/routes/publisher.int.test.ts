import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { RouteTable } from '@/shared/route-table'
import { createDeploymentRow, createProject, createReleaseWithInstance, openTestDatabase } from '@/test/support/factory'
import { createRoutePublisher } from './publisher'

let db: Awaited<ReturnType<typeof openTestDatabase>>
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())
beforeEach(() => db.pool.query('TRUNCATE "Team", "Artifact" CASCADE'))

function publisher() {
  const tables: RouteTable[] = []
  let refuse = false
  const sink = {
    async publish(table: RouteTable) {
      tables.push(table)
      if (refuse) throw new Error('router 1 did not acknowledge')
      return { acknowledged: 2 }
    },
  }
  const routes = createRoutePublisher({ prisma: db.prisma, sink, baseDomain: 'localhost', dashboardUrl: 'http://localhost:3000' })
  const portsOf = (host: string) =>
    tables
      .at(-1)
      ?.routes.find((r) => r.host === host)
      ?.targets.map((t) => t.port)
  return { routes, tables, portsOf, refuse: (value: boolean) => (refuse = value) }
}

async function liveProject(slug: string) {
  const owner = await createProject(db.prisma, { slug })
  const old = await createDeploymentRow(db.prisma, owner, { status: 'ACTIVE' })
  const oldRelease = await createReleaseWithInstance(db.prisma, owner, old.id, { state: 'healthy', port: 1001 })
  await db.prisma.environment.update({ where: { id: owner.environment.id }, data: { liveReleaseId: oldRelease.release.id } })
  const next = await createDeploymentRow(db.prisma, owner, { status: 'DEPLOYING' })
  const nextRelease = await createReleaseWithInstance(db.prisma, owner, next.id, { state: 'starting', port: 1002, slot: 'green' })
  return { owner, old, next, oldRelease, nextRelease }
}

test('a project is routed to its live release only; a starting instance gets nothing', async () => {
  const { routes, portsOf } = publisher()
  const { old, next } = await liveProject('shop')
  await routes.sync()
  expect(portsOf('shop.localhost')).toEqual([1001])
  expect(portsOf(`shop-${old.id}.localhost`)).toEqual([1001])
  expect(portsOf(`shop-${next.id}.localhost`)).toEqual([])
})

test('a proposal moves all traffic of the environment, and stays through the publications of others until it is settled', async () => {
  const { routes, portsOf } = publisher()
  const { owner, old, nextRelease } = await liveProject('shop')
  await routes.sync()
  await routes.propose({ environmentId: owner.environment.id, releaseId: nextRelease.release.id })
  expect(portsOf('shop.localhost')).toEqual([1002])
  expect(portsOf(`shop-${old.id}.localhost`)).toEqual([])
  await createProject(db.prisma, { slug: 'other' })
  await routes.sync()
  expect(portsOf('shop.localhost')).toEqual([1002])
  routes.settle(owner.environment.id)
  await routes.sync()
  expect(portsOf('shop.localhost')).toEqual([1001])
})

test('a proposal that not every router acknowledges is taken back', async () => {
  const { routes, tables, portsOf, refuse } = publisher()
  const { owner, nextRelease } = await liveProject('shop')
  await routes.sync()
  refuse(true)
  await expect(routes.propose({ environmentId: owner.environment.id, releaseId: nextRelease.release.id })).rejects.toThrow('acknowledge')
  expect(portsOf('shop.localhost')).toEqual([1001])
  expect(tables).toHaveLength(3)
})

test('a release whose own files would close it serves nobody, whatever waits to be published when it is proposed', async () => {
  const { routes, tables } = publisher()
  const { owner, next, nextRelease } = await liveProject('shop')
  await db.prisma.artifact.update({ where: { id: nextRelease.artifact.id }, data: { edgePolicy: { allowedAddresses: 'nonsense' } } })
  await db.prisma.deployment.update({ where: { id: next.id }, data: { artifactId: nextRelease.artifact.id } })
  const others = routes.sync()
  await expect(routes.propose({ environmentId: owner.environment.id, releaseId: nextRelease.release.id })).rejects.toThrow('the site is closed')
  await others
  await routes.sync()
  const shown = tables.map((table) => table.routes.find(({ host }) => host === 'shop.localhost'))
  expect(shown.map((route) => [route?.closed ?? false, route?.targets.map(({ port }) => port)])).toEqual([[false, [1001]]])
})

test('versions only grow, and an unchanged table is not sent again', async () => {
  const { routes, tables } = publisher()
  await createProject(db.prisma, { slug: 'one' })
  await routes.sync()
  await routes.sync()
  expect(tables).toHaveLength(1)
  await createProject(db.prisma, { slug: 'two' })
  await Promise.all([routes.sync(), routes.sync()])
  expect(tables).toHaveLength(2)
  expect(tables[1]?.version).toBeGreaterThan(tables[0]?.version ?? Number.POSITIVE_INFINITY)
})

test('a project without a live release says why instead of having a target', async () => {
  const { routes, tables } = publisher()
  const fresh = await createProject(db.prisma, { slug: 'fresh' })
  const broken = await createProject(db.prisma, { slug: 'broken', teamId: fresh.teamId })
  await createDeploymentRow(db.prisma, broken, { status: 'FAILED' })
  await routes.sync()
  const state = (host: string) => tables[0]?.routes.find((r) => r.host === host)?.state
  expect(state('fresh.localhost')).toBe('not-deployed')
  expect(state('broken.localhost')).toBe('failed')
})

test('without an instance the address of the live deployment is started again, that of a replaced deployment is not live', async () => {
  const { routes, tables } = publisher()
  const { owner, old, oldRelease } = await liveProject('shop')
  await db.prisma.instance.update({ where: { id: oldRelease.instance.id }, data: { state: 'stopped' } })
  const replaced = await createDeploymentRow(db.prisma, owner, { status: 'SUPERSEDED' })
  await routes.sync()
  const state = (host: string) => tables[0]?.routes.find((r) => r.host === host)?.state
  expect([state('shop.localhost'), state(`shop-${old.id}.localhost`), state(`shop-${replaced.id}.localhost`)]).toEqual(['live', 'live', 'stopped'])
})
