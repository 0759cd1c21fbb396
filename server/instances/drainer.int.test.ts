import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { drain } from '@/runtime/drain'
import { createDeploymentRow, createProject, createReleaseWithInstance, openTestDatabase } from '@/test/support/factory'
import { until } from '@/test/support/processes'
import { createDrainer, type DrainerDeps } from './drainer'

let db: Awaited<ReturnType<typeof openTestDatabase>>
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

/** A drainer whose routers report `open` requests in flight to every instance. */
function world(exit: object | null = null) {
  const state = { open: 1, counted: 0, calls: [] as string[] }
  const deps = {
    prisma: db.prisma,
    runtime: {
      drain,
      inspect: async () => (exit ? { state: 'exited', exit } : { state: 'running' }),
      stop: async (id: string) => void state.calls.push(`stop ${id}`),
    },
    routes: { sync: async () => {} },
    inFlight: async ([id]: string[]) => {
      state.counted++
      return { [id ?? '']: state.open }
    },
    endConnections: async ([id]: string[]) => void state.calls.push(`end ${id}`),
    bus: { publish: async () => {} },
    logger: pino({ level: 'silent' }),
  } as unknown as DrainerDeps
  return { state, drainer: createDrainer(deps) }
}

async function replaced(drainSeconds: number, since = new Date()) {
  const owner = await createProject(db.prisma)
  await db.prisma.project.update({ where: { id: owner.project.id }, data: { runtimeSettings: { drainSeconds } } })
  const old = await createDeploymentRow(db.prisma, owner, { status: 'SUPERSEDED' })
  const next = await createDeploymentRow(db.prisma, owner, { status: 'ACTIVE' })
  const { instance } = await createReleaseWithInstance(db.prisma, owner, old.id, { state: 'draining', port: 4300 })
  const row = await db.prisma.instance.update({ where: { id: instance.id }, data: { drainingSince: since, replacedBy: next.id } })
  await db.prisma.step.create({ data: { teamId: owner.teamId, deploymentId: next.id, name: 'drain' } })
  const steps = async () => db.prisma.step.findMany({ where: { deploymentId: next.id }, orderBy: { id: 'asc' } })
  const read = async () => db.prisma.instance.findUniqueOrThrow({ where: { id: instance.id } })
  return { owner, instance: row, steps, read }
}

test('a replaced instance serves what it has open for as long as the project allows, and is stopped when that is over', async () => {
  const { instance, steps, read } = await replaced(7200)
  const { state, drainer } = world()
  const ended = drainer.follow(instance)
  await until('what is open was counted', 10_000, () => state.counted > 2)
  expect(state.calls).toEqual([])
  expect(await steps()).toMatchObject([{ name: 'drain', status: 'running' }])
  state.open = 0
  await ended
  expect(state.calls).toEqual([`stop ${instance.id}`])
  expect(await steps()).toMatchObject([
    { name: 'drain', status: 'done', detail: expect.stringMatching(/^idle after/) },
    { name: 'stop', status: 'done' },
  ])
  expect(await read()).toMatchObject({ state: 'stopped', exit: null })
})

test('at the deadline the routers end what is open before the instance is stopped', async () => {
  const { instance, steps } = await replaced(0)
  const { state, drainer } = world()
  await drainer.follow(instance)
  expect(state.calls).toEqual([`end ${instance.id}`, `stop ${instance.id}`])
  expect(await steps()).toMatchObject([{ name: 'drain', status: 'done', detail: expect.stringMatching(/^deadline reached/) }, { name: 'stop' }])
})

test('a drain goes on after a restart of the control process, with the deadline it had', async () => {
  const { instance, read } = await replaced(3600, new Date(Date.now() - 3600_000))
  const { state, drainer } = world()
  await drainer.follow(instance)
  expect(state.calls).toEqual([`end ${instance.id}`, `stop ${instance.id}`])
  expect(await read()).toMatchObject({ state: 'stopped' })
})

test('more versions than a project allows do not drain at the same time: the oldest is ended', async () => {
  const { owner, instance } = await replaced(7200)
  await db.prisma.project.update({ where: { id: owner.project.id }, data: { runtimeSettings: { drainSeconds: 7200, drainVersions: 1 } } })
  const newer = await createReleaseWithInstance(db.prisma, owner, (await createDeploymentRow(db.prisma, owner, { status: 'SUPERSEDED' })).id, {
    state: 'draining',
    port: 4301,
  })
  await db.prisma.instance.update({ where: { id: newer.instance.id }, data: { drainingSince: new Date(Date.now() + 1000) } })
  const { state, drainer } = world()
  await drainer.follow(instance)
  expect(state.calls).toEqual([`end ${instance.id}`, `stop ${instance.id}`])
})

test('an instance that crashed before it was stopped is recorded with how it ended', async () => {
  const { instance, read } = await replaced(0)
  await world({ code: 137, signal: 'SIGKILL', outOfMemory: true }).drainer.follow(instance)
  expect(await read()).toMatchObject({ state: 'stopped', exit: { code: 137, signal: 'SIGKILL', outOfMemory: true } })
})
