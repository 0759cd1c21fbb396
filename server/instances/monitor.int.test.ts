import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createDeploymentRow, createProject, createReleaseWithInstance, openTestDatabase } from '@/test/support/factory'
import { compare, type MonitorDeps } from './monitor'

let db: Awaited<ReturnType<typeof openTestDatabase>>
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

/** A monitor whose look at the machine takes as long as `meanwhile`. */
function monitorDeps(meanwhile: () => Promise<void>): { deps: MonitorDeps; stopped: string[] } {
  const stopped: string[] = []
  const runtime = {
    list: async () => {
      await meanwhile()
      return []
    },
    stop: async (id: string) => void stopped.push(id),
    drain: async () => ({ drained: true, waitedMs: 0 }),
  }
  const deps = {
    prisma: db.prisma,
    pool: db.pool,
    runtime,
    routes: { sync: async () => {} },
    inFlight: async () => ({}),
    bus: { publish: async () => {} },
    collector: { follow: () => {}, finish: async () => {}, note: () => {} },
    logger: pino({ level: 'silent' }),
  }
  return { deps: deps as unknown as MonitorDeps, stopped }
}

test('an instance that becomes live while the monitor looks is not removed', async () => {
  const owner = await createProject(db.prisma)
  const deployment = await createDeploymentRow(db.prisma, owner, { status: 'DEPLOYING' })
  const { instance, release } = await createReleaseWithInstance(db.prisma, owner, deployment.id, { state: 'starting', port: 4000 })
  const { deps, stopped } = monitorDeps(async () => {
    await db.prisma.$transaction([
      db.prisma.environment.update({ where: { id: owner.environment.id }, data: { liveReleaseId: release.id } }),
      db.prisma.instance.update({ where: { id: instance.id }, data: { state: 'healthy' } }),
      db.prisma.deployment.update({ where: { id: deployment.id }, data: { status: 'ACTIVE' } }),
    ])
  })
  await compare(deps)
  expect(stopped).toEqual([])
  expect(await db.prisma.instance.findUniqueOrThrow({ where: { id: instance.id } })).toMatchObject({ state: 'healthy' })
})

test('an instance that nothing points to is drained and stopped', async () => {
  const owner = await createProject(db.prisma)
  const deployment = await createDeploymentRow(db.prisma, owner, { status: 'FAILED' })
  const { instance } = await createReleaseWithInstance(db.prisma, owner, deployment.id, { state: 'healthy', port: 4001 })
  const { deps, stopped } = monitorDeps(async () => {})
  await compare(deps)
  expect(stopped).toContain(instance.id)
  expect(await db.prisma.instance.findUniqueOrThrow({ where: { id: instance.id } })).toMatchObject({ state: 'stopped' })
})
