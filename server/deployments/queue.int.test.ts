import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createDeploymentRow, createProject, createReleaseWithInstance, openTestDatabase } from '@/test/support/factory'
import type { Actor } from '../actor'
import { scopeTo } from '../database/scope'
import { type ChangeBus, createChangeBus } from '../events/bus'
import { queueDeployment, queueGitDeployment } from './queue'
import { promoteDeployment, redeployArtifact, restartProject, rollBackProject, rollBackTo } from './release'

let db: Awaited<ReturnType<typeof openTestDatabase>>
let bus: ChangeBus
beforeAll(async () => {
  db = await openTestDatabase()
  bus = createChangeBus({ url: db.url, pool: db.pool, logger: pino({ level: 'silent' }) })
})
afterAll(async () => {
  await bus.close()
  await db.close()
})

type Owner = Awaited<ReturnType<typeof createProject>>
const scoped = (owner: Owner) => scopeTo(db.prisma, owner)
const actorOf = (owner: Owner): Actor => ({ kind: 'user', id: 'u', name: 'Ada', teamId: owner.teamId, role: 'member', operator: false })
const source = { kind: 'git', url: 'https://git.example.com/shop.git', ref: null, allowPrivateNetwork: false } as const

const push = (owner: Owner, commitSha: string, branch = 'main') =>
  queueGitDeployment(bus, scoped(owner), {
    teamId: owner.teamId,
    projectId: owner.project.id,
    environmentId: owner.environment.id,
    source,
    branch,
    commitSha,
    commitMessage: 'a change',
    commitAuthor: 'Ada',
    triggeredBy: 'git',
    createdBy: 'Ada',
  })
const ask = (owner: Owner) =>
  queueDeployment(bus, scoped(owner), {
    teamId: owner.teamId,
    projectId: owner.project.id,
    environmentId: owner.environment.id,
    source,
    branch: 'main',
    triggeredBy: 'api',
    createdBy: 'Ada',
  })
const statuses = async (owner: Owner) =>
  (await db.prisma.deployment.findMany({ where: { environmentId: owner.environment.id }, orderBy: { createdAt: 'asc' } })).map((one) => one.status)

/** A deployment that was live, with an artifact, and the live one after it. */
async function twoVersions(liveState: 'healthy' | 'stopped' = 'healthy') {
  const owner = await createProject(db.prisma)
  const version = async (status: 'SUPERSEDED' | 'ACTIVE', at: number, port: number) => {
    const deployment = await createDeploymentRow(db.prisma, owner, { status, liveAt: new Date(at), branch: 'main', commitSha: `c${port}` })
    const made = await createReleaseWithInstance(db.prisma, owner, deployment.id, { state: liveState, port })
    await db.prisma.deployment.update({ where: { id: deployment.id }, data: { artifactId: made.artifact.id } })
    return { deployment, ...made }
  }
  const old = await version('SUPERSEDED', 1_000, 4_001)
  const live = await version('ACTIVE', 2_000, 4_002)
  await db.prisma.environment.update({ where: { id: owner.environment.id }, data: { liveReleaseId: live.release.id } })
  return { owner, old, live }
}

test('pushes queue behind a running deployment, and a newer push replaces an older one that waits', async () => {
  const owner = await createProject(db.prisma)
  await createDeploymentRow(db.prisma, owner, { status: 'BUILDING', startedAt: new Date() })
  await push(owner, 'a')
  const { replaced, deploymentId } = await push(owner, 'b')
  expect(replaced).toHaveLength(1)
  expect(await statuses(owner)).toEqual(['BUILDING', 'CANCELED', 'PENDING'])
  expect(await db.prisma.deployment.findUniqueOrThrow({ where: { id: deploymentId } })).toMatchObject({ commitSha: 'b', source: { ref: 'b' } })
  const canceled = await db.prisma.deployment.findUniqueOrThrow({ where: { id: replaced[0] ?? '' } })
  expect(canceled.reason).toBe('A newer push to main replaced this deployment.')
})

test('a storm of pushes that arrive together ends in a single deployment of the head that waits', async () => {
  const owner = await createProject(db.prisma)
  await Promise.all(Array.from({ length: 20 }, () => push(owner, 'head')))
  expect(await statuses(owner)).toEqual(['PENDING'])
})

test('an explicit request is refused while a deployment of the environment runs, also when both arrive at once', async () => {
  const owner = await createProject(db.prisma)
  const results = await Promise.allSettled([ask(owner), ask(owner), ask(owner)])
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  for (const result of results) if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'ERR_DEPLOYMENT_RUNNING' })
})

test('a locked environment accepts no deployment and says who locked it and why', async () => {
  const { owner, old } = await twoVersions()
  await db.prisma.environment.update({ where: { id: owner.environment.id }, data: { lockReason: 'audit until Friday', lockedBy: 'Grace' } })
  for (const request of [() => ask(owner), () => push(owner, 'a'), () => rollBackTo({ prisma: db.prisma, bus }, actorOf(owner), old.deployment.id)])
    await expect(request()).rejects.toThrow('Grace locked the environment production: audit until Friday')
})

test('nothing of a fork is queued before a member approves it', async () => {
  const owner = await createProject(db.prisma)
  await db.prisma.environment.update({ where: { id: owner.environment.id }, data: { fork: true } })
  await expect(push(owner, 'a')).rejects.toThrow('no member has approved')
  await db.prisma.environment.update({ where: { id: owner.environment.id }, data: { approvedBy: 'Grace', approvedAt: new Date() } })
  expect(await push(owner, 'a')).toMatchObject({ isNew: true })
})

test('a rollback overtakes the builds of its environment, pauses its pushes and waits for no lane of builds', async () => {
  const { owner, old } = await twoVersions()
  const building = await createDeploymentRow(db.prisma, owner, { status: 'BUILDING', startedAt: new Date() })
  const { deploymentId: waiting } = await push(owner, 'next')
  const id = await rollBackTo({ prisma: db.prisma, bus }, actorOf(owner), old.deployment.id)
  const rows = await db.prisma.deployment.findMany({ where: { id: { in: [building.id, waiting, id] } } })
  const row = (wanted: string) => rows.find((one) => one.id === wanted)
  expect(row(building.id)).toMatchObject({ cancelRequested: true, status: 'BUILDING' })
  expect(row(waiting)).toMatchObject({ status: 'CANCELED', reason: 'A rollback of this environment was asked for.' })
  expect(row(id)).toMatchObject({ kind: 'ROLLBACK', status: 'PENDING', artifactId: old.artifact.id, repeats: old.deployment.id, commitSha: 'c4001' })
  expect(await db.prisma.environment.findUniqueOrThrow({ where: { id: owner.environment.id } })).toMatchObject({
    pausedReason: `Ada rolled back to deployment ${old.deployment.id}.`,
  })
  const job = await db.prisma.job.findFirst({ where: { payload: { path: ['deploymentId'], equals: id } } })
  expect(job).toMatchObject({ kind: 'release', exclusiveKey: `environment:${owner.environment.id}` })
})

test('the version before the live one is the last that was live and was not rolled back itself', async () => {
  const { owner, old, live } = await twoVersions()
  const id = await rollBackProject({ prisma: db.prisma, bus }, actorOf(owner), owner.project.slug)
  expect(await db.prisma.deployment.findUniqueOrThrow({ where: { id } })).toMatchObject({ repeats: old.deployment.id })
  // As the switch of the rollback leaves it.
  const release = await db.prisma.release.create({
    data: { ...(await db.prisma.release.findUniqueOrThrow({ where: { id: old.release.id } })), id: 'again', deploymentId: id, config: {} },
  })
  await db.prisma.deployment.update({ where: { id: live.deployment.id }, data: { status: 'ROLLED_BACK' } })
  await db.prisma.deployment.update({ where: { id }, data: { status: 'ACTIVE', liveAt: new Date(3_000), releaseId: release.id } })
  await db.prisma.environment.update({ where: { id: owner.environment.id }, data: { liveReleaseId: release.id } })
  await expect(rollBackProject({ prisma: db.prisma, bus }, actorOf(owner), owner.project.slug)).rejects.toThrow('No earlier version of production')
})

test('a rollback to the live version, to one that never was live, or whose artifact is gone, is refused with the reason', async () => {
  const { owner, old, live } = await twoVersions()
  const back = (id: string) => rollBackTo({ prisma: db.prisma, bus }, actorOf(owner), id)
  await expect(back(live.deployment.id)).rejects.toThrow('live already')
  const failed = await createDeploymentRow(db.prisma, owner, { status: 'FAILED' })
  await expect(back(failed.id)).rejects.toThrow('never was live')
  await db.prisma.artifact.update({ where: { id: old.artifact.id }, data: { removedAt: new Date() } })
  await expect(back(old.deployment.id)).rejects.toThrow('removed to free disk space')
  const stranger = await createProject(db.prisma)
  await expect(rollBackTo({ prisma: db.prisma, bus }, actorOf(stranger), live.deployment.id)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
})

test('a restart, a redeployment and a promotion queue a release of the artifact and build nothing', async () => {
  const { owner, old, live } = await twoVersions()
  const staging = await db.prisma.environment.create({
    data: {
      id: `e${owner.project.id}`,
      teamId: owner.teamId,
      projectId: owner.project.id,
      name: 'staging',
      kind: 'CUSTOM',
      slug: `${owner.project.slug}-staging`,
    },
  })
  const deps = { prisma: db.prisma, bus }
  const ids = [
    await restartProject(deps, actorOf(owner), owner.project.id),
    await redeployArtifact(deps, actorOf(owner), old.deployment.id),
    await promoteDeployment(deps, actorOf(owner), live.deployment.id, 'staging'),
  ]
  const rows = await Promise.all(ids.map((id) => db.prisma.deployment.findUniqueOrThrow({ where: { id } })))
  expect(rows).toMatchObject([
    { kind: 'RESTART', artifactId: live.artifact.id, environmentId: owner.environment.id },
    { kind: 'REDEPLOY', artifactId: old.artifact.id, environmentId: owner.environment.id },
    { kind: 'PROMOTE', artifactId: live.artifact.id, environmentId: staging.id },
  ])
  const jobs = await db.prisma.job.findMany({ where: { OR: ids.map((id) => ({ payload: { path: ['deploymentId'], equals: id } })) } })
  expect(jobs.map(({ kind }) => kind)).toEqual(['release', 'release', 'release'])
})
