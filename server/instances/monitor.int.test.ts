import { pino } from 'pino'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { createDeploymentRow, createProject, createReleaseWithInstance, openTestDatabase } from '@/test/support/factory'
import { createDrainer } from './drainer'
import { healDelayMs, healEnvironment } from './heal'
import { compare, type MonitorDeps } from './monitor'

let db: Awaited<ReturnType<typeof openTestDatabase>>
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

/** A monitor whose listing of the runtime's instances waits for `meanwhile`. */
function monitorDeps(meanwhile: () => Promise<void>): { deps: MonitorDeps; stopped: string[] } {
  const stopped: string[] = []
  const runtime = {
    list: async () => {
      await meanwhile()
      return []
    },
    stop: async (id: string) => void stopped.push(id),
    inspect: async () => null,
    drain: async () => ({ drained: true, waitedMs: 0 }),
  }
  const routes = { sync: async () => {} }
  const bus = { publish: async () => {} }
  const logger = pino({ level: 'silent' })
  const drainer = createDrainer({
    prisma: db.prisma,
    runtime,
    routes,
    bus,
    logger,
    inFlight: async () => ({}),
    endConnections: async () => {},
  } as never)
  const deps = {
    prisma: db.prisma,
    pool: db.pool,
    runtime,
    routes,
    drainer,
    bus,
    collector: { follow: () => {}, finish: async () => {}, note: () => {} },
    logger,
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
  await vi.waitFor(async () => expect(await db.prisma.instance.findUniqueOrThrow({ where: { id: instance.id } })).toMatchObject({ state: 'stopped' }))
  expect(stopped).toContain(instance.id)
})

test('an instance that the record does not know is ended, and one that was started during the round is not', async () => {
  const owner = await createProject(db.prisma)
  const deployment = await createDeploymentRow(db.prisma, owner, { status: 'DEPLOYING' })
  const { deps, stopped } = monitorDeps(async () => {})
  const observed = (instanceId: string) => ({ owner: { instanceId }, state: 'running', address: { host: '10.0.0.9', port: 1 }, exit: null })
  const list = async () => {
    const { instance } = await createReleaseWithInstance(db.prisma, owner, deployment.id, { state: 'starting', port: 4050 })
    return [observed('nobody-knows'), observed(instance.id)]
  }
  await compare({ ...deps, runtime: { ...deps.runtime, list } } as unknown as MonitorDeps)
  expect(stopped).toEqual(['nobody-knows'])
})

test('apps that died with their engine are started again at once, each by a job of its own, and are not counted as crashing', async () => {
  await db.prisma.instance.updateMany({ data: { state: 'stopped' } })
  await db.prisma.environment.updateMany({ data: { liveReleaseId: null } })
  await db.pool.query('DELETE FROM "Job"')
  const { deps } = monitorDeps(async () => {})
  const lives = await Promise.all(
    [1, 2, 3, 4, 5].map(async (n) => {
      const owner = await createProject(db.prisma)
      const deployment = await createDeploymentRow(db.prisma, owner, { status: 'ACTIVE' })
      const { instance, release } = await createReleaseWithInstance(db.prisma, owner, deployment.id, { state: 'healthy', port: 4100 + n })
      await db.prisma.environment.update({ where: { id: owner.environment.id }, data: { liveReleaseId: release.id } })
      return { owner, instance, release }
    }),
  )
  for (let outage = 0; outage < 5; outage++) {
    await compare({ ...deps, runtime: { ...deps.runtime, list: async () => [] } } as MonitorDeps)
    for (const { instance } of lives)
      expect(await db.prisma.instance.findUniqueOrThrow({ where: { id: instance.id } })).toMatchObject({ state: 'stopped', exit: { byEngine: true } })
    const { rows } = await db.pool.query(
      `SELECT "fairKey" FROM "Job" WHERE "kind"='heal' AND "state"='queued' AND "runAt" <= (now() AT TIME ZONE 'utc')`,
    )
    expect(rows.map((row) => row.fairKey).sort()).toEqual(lives.map(({ owner }) => owner.teamId).sort())
    await db.pool.query('DELETE FROM "Job"')
    for (const { instance, release } of lives) {
      await db.prisma.instance.create({
        data: {
          ...instance,
          id: `${instance.id}-${outage}`,
          releaseId: release.id,
          exit: { byEngine: true },
          state: 'stopped',
          stoppedAt: new Date(),
        },
      })
      await db.prisma.instance.update({ where: { id: instance.id }, data: { state: 'healthy', stoppedAt: null } })
    }
  }
})

test('a crash of one app is counted: the pause before its next start grows', async () => {
  const owner = await createProject(db.prisma)
  const deployment = await createDeploymentRow(db.prisma, owner, { status: 'ACTIVE' })
  const { instance, release } = await createReleaseWithInstance(db.prisma, owner, deployment.id, { state: 'stopped', port: 4200 })
  expect(await healDelayMs(db.prisma, release.id)).toBe(0)
  const exit = { code: 1, signal: null, outOfMemory: false }
  for (const n of [1, 2, 3])
    await db.prisma.instance.create({ data: { ...instance, id: `${instance.id}-${n}`, exit, state: 'stopped', stoppedAt: new Date() } })
  expect(await healDelayMs(db.prisma, release.id)).toBe(2_000)
})

test.each([
  ['healthy', true],
  ['not healthy', false],
])('a start that was cut off is looked after again, and its instance gets traffic only if it is %s', async (_, healthy) => {
  await db.prisma.instance.updateMany({ data: { state: 'stopped' } })
  await db.prisma.environment.updateMany({ data: { liveReleaseId: null } })
  await db.pool.query('DELETE FROM "Job"')
  const owner = await createProject(db.prisma)
  const deployment = await createDeploymentRow(db.prisma, owner, { status: 'ACTIVE' })
  const { instance, release } = await createReleaseWithInstance(db.prisma, owner, deployment.id, { state: 'starting', port: 4300 })
  await db.prisma.environment.update({ where: { id: owner.environment.id }, data: { liveReleaseId: release.id } })
  await db.prisma.release.update({ where: { id: release.id }, data: { config: { health: { path: '/ready' }, instances: 1 } } })
  const { deps, stopped } = monitorDeps(async () => {})
  const running = { owner: { instanceId: instance.id }, state: 'running', address: { host: '10.0.0.9', port: 4301 }, exit: null }
  const probed: unknown[] = []
  const runtime = {
    ...deps.runtime,
    kind: 'docker',
    list: async () => [running],
    inspect: async () => running,
    probe: async (address: unknown, check: unknown) => {
      probed.push([address, check])
      return { healthy, reason: 'answered 503' }
    },
    start: async () => {
      throw new Error('the one that is started instead')
    },
  }
  const world = { ...deps, runtime, startGate: { enter: async () => () => {} }, secrets: { open: async () => '{}' } } as unknown as MonitorDeps
  await compare(world)
  const { rows } = await db.pool.query(`SELECT "payload" FROM "Job" WHERE "kind"='heal'`)
  expect(rows).toEqual([{ payload: { environmentId: owner.environment.id } }])
  const healed = healEnvironment(world, owner.environment.id)
  if (healthy) await healed
  else await expect(healed).rejects.toThrow('the one that is started instead')
  expect(probed).toEqual([[{ host: '10.0.0.9', port: 4301 }, { path: '/ready' }]])
  expect(stopped).toEqual(healthy ? [] : [instance.id])
  expect(await db.prisma.instance.findUniqueOrThrow({ where: { id: instance.id } })).toMatchObject({
    host: '10.0.0.9',
    port: 4301,
    state: healthy ? 'healthy' : 'stopped',
  })
})
