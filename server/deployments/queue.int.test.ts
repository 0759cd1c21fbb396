import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createDeploymentRow, createProject, createReleaseWithInstance, openTestDatabase } from '@/test/support/factory'
import type { Actor } from '../actor'
import { scopeTo } from '../database/scope'
import { type ChangeBus, createChangeBus } from '../events/bus'
import { queueDeployment, queueGitDeployment } from './queue'
import { promoteDeployment, redeployArtifact, restartProject, rollBackProject, rollBackTo } from './release'
import { createWatch } from './watch'

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

test('a push that meets a pause is refused, also when the pause began after its decision; a canceled head is deployed anew', async () => {
  const owner = await createProject(db.prisma)
  const { deploymentId } = await push(owner, 'a')
  await db.prisma.deployment.update({ where: { id: deploymentId }, data: { startedAt: new Date(), status: 'BUILDING', cancelRequested: true } })
  expect(await push(owner, 'a')).toMatchObject({ isNew: true })
  await db.prisma.environment.update({ where: { id: owner.environment.id }, data: { pausedReason: 'Ada rolled back.', pausedAt: new Date() } })
  await expect(push(owner, 'b')).rejects.toThrow('Automatic deploys of production are paused: Ada rolled back.')
})

test('a deployment that ends before it has begun says so to webhooks and Git hosts', async () => {
  const owner = await createProject(db.prisma)
  const { deploymentId } = await push(owner, 'a')
  await push(owner, 'b')
  const events = await db.prisma.event.findMany({ where: { projectId: owner.project.id, kind: 'deployment.canceled' } })
  expect(events).toMatchObject([{ payload: { deploymentId } }])
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
  // A second click asks for the same.
  expect(await rollBackTo({ prisma: db.prisma, bus }, actorOf(owner), old.deployment.id)).toBe(id)
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
  await expect(rollBackTo({ prisma: db.prisma, bus }, actorOf(owner), old.deployment.id)).rejects.toThrow('live already')
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

describe('watch after a switch', () => {
  const now = Date.now()
  const watchOf = () => createWatch({ prisma: db.prisma, pool: db.pool, bus, logger: pino({ level: 'silent' }) })
  const latency = (requests: number) => [0, 0, 0, 0, requests, ...Array.from({ length: 10 }, () => 0)].map(BigInt)

  /** A version that went live a minute ago and is watched, and the version before, with their answers. */
  async function switched(answers: { now: [requests: number, errors: number]; before: [requests: number, errors: number] }) {
    const versions = await twoVersions()
    const { owner, old, live } = versions
    const liveAt = new Date(now - 60_000)
    await db.prisma.deployment.update({ where: { id: old.deployment.id }, data: { liveAt: new Date(now - 3_600_000) } })
    await db.prisma.deployment.update({ where: { id: live.deployment.id }, data: { liveAt, watchUntil: new Date(now + 60_000) } })
    await db.prisma.environment.update({ where: { id: owner.environment.id }, data: { previousReleaseId: old.release.id } })
    const rows = [
      [live, answers.now, now - 30_000],
      [old, answers.before, now - 600_000],
    ] as const
    await db.prisma.trafficMinute.createMany({
      data: rows.map(([{ deployment }, [requests, errors], at]) => ({
        minute: new Date(Math.floor(at / 60_000) * 60_000),
        teamId: owner.teamId,
        projectId: owner.project.id,
        host: 'shop.localhost',
        deploymentId: deployment.id,
        requests,
        statuses: [0, 0, requests - errors, 0, 0, errors].map(BigInt),
        bytesIn: 0,
        bytesOut: 0,
        cacheHits: 0,
        latency: latency(requests),
      })),
    })
    const read = () => db.prisma.deployment.findUniqueOrThrow({ where: { id: live.deployment.id } })
    const rollbacks = () => db.prisma.deployment.findMany({ where: { environmentId: owner.environment.id, kind: 'ROLLBACK' } })
    return { ...versions, read, rollbacks }
  }
  const rounds = async (watch: ReturnType<typeof createWatch>, ats: number[]) => {
    for (const at of ats) await watch.round(at)
  }

  test('a version with more server errors than the bound is rolled back once, by two workers, with its evidence', async () => {
    const { owner, old, live, read, rollbacks } = await switched({ now: [2_000, 100], before: [5_000, 0] })
    await Promise.all([watchOf(), watchOf()].map((watch) => rounds(watch, [now, now + 2_000, now + 4_000])))
    const [rollback, ...more] = await rollbacks()
    expect(more).toEqual([])
    expect(rollback).toMatchObject({ repeats: old.deployment.id, triggeredBy: 'SYSTEM', createdBy: 'Switchyard', status: 'PENDING' })
    expect(await read()).toMatchObject({
      watchUntil: null,
      reason: expect.stringContaining('The watch rolled it back. 5 % of 2000 answers'),
      watch: {
        verdict: 'worse',
        rollbackId: rollback?.id,
        now: { requests: 2_000, errors: 100 },
        before: { deploymentId: old.deployment.id, requests: 5_000, errors: 0 },
      },
    })
    const environment = await db.prisma.environment.findUniqueOrThrow({ where: { id: owner.environment.id } })
    expect(environment.pausedReason).toContain(`Deployment ${live.deployment.id} was worse than the version before`)
    const lines = await db.prisma.logLine.findMany({ where: { deploymentId: live.deployment.id, step: 'watch' } })
    expect(lines.map(({ text }) => text)).toEqual([expect.stringContaining(`goes back to ${old.deployment.id}`)])
  })

  test.each([
    ['too few answers, all of them errors', { now: [20, 20], before: [5_000, 0] }, 'too_little_traffic'],
    ['no traffic', { now: [0, 0], before: [0, 0] }, 'too_little_traffic'],
    ['no more errors than before', { now: [2_000, 100], before: [5_000, 250] }, 'ok'],
  ] as const)('a version with %s is left alone to the end of its window', async (_, answers, verdict) => {
    const { read, rollbacks } = await switched(answers as unknown as Parameters<typeof switched>[0])
    const watch = watchOf()
    await rounds(watch, [now, now + 2_000, now + 4_000, now + 20_000])
    expect(await read()).toMatchObject({ status: 'ACTIVE', watchUntil: new Date(now + 60_000), watch: { verdict: 'watching', decidedAt: null } })
    await rounds(watch, [now + 65_000])
    expect(await read()).toMatchObject({ status: 'ACTIVE', watchUntil: null, watch: { verdict, rollbackId: null, decidedAt: expect.any(String) } })
    expect(await rollbacks()).toEqual([])
  })

  test('a version is not rolled back while a newer one is being switched to', async () => {
    const { owner, rollbacks, read } = await switched({ now: [2_000, 2_000], before: [5_000, 0] })
    const newer = await createDeploymentRow(db.prisma, owner, { status: 'DEPLOYING' })
    const watch = watchOf()
    await rounds(watch, [now, now + 2_000, now + 4_000, now + 6_000])
    expect(await rollbacks()).toEqual([])
    await db.prisma.deployment.update({ where: { id: newer.id }, data: { status: 'FAILED' } })
    await rounds(watch, [now + 8_000])
    expect(await rollbacks()).toHaveLength(1)
    expect((await read()).watchUntil).toBeNull()
  })

  test('an artifact that is gone is said in the verdict, and the version stays', async () => {
    const { old, read, rollbacks } = await switched({ now: [2_000, 2_000], before: [5_000, 0] })
    await db.prisma.artifact.update({ where: { id: old.artifact.id }, data: { removedAt: new Date() } })
    await rounds(watchOf(), [now, now + 2_000, now + 4_000])
    expect(await rollbacks()).toEqual([])
    expect(await read()).toMatchObject({ status: 'ACTIVE', watch: { verdict: 'worse', reason: expect.stringContaining('could not be rolled back') } })
  })

  test('a version that keeps crashing is rolled back without traffic, unless the version before crashed too', async () => {
    const crash = (releaseId: string, of: Awaited<ReturnType<typeof switched>>, at: number) =>
      db.prisma.instance.updateMany({
        where: { releaseId },
        data: { state: 'stopped', startedAt: new Date(at - 1_000), stoppedAt: new Date(at), exit: { code: 1 }, deploymentId: of.live.deployment.id },
      })
    const again = async (releaseId: string) => {
      const { id: _, ...row } = await db.prisma.instance.findFirstOrThrow({ where: { releaseId } })
      await db.prisma.instance.create({ data: { ...row, id: `${releaseId}-2`.slice(-12), exit: { code: 1 } } })
    }
    const bad = await switched({ now: [0, 0], before: [0, 0] })
    await crash(bad.live.release.id, bad, now - 5_000)
    await again(bad.live.release.id)
    const alike = await switched({ now: [0, 0], before: [0, 0] })
    for (const [{ release }, at] of [
      [alike.live, now - 5_000],
      [alike.old, now - 65_000],
    ] as const) {
      await crash(release.id, alike, at)
      await again(release.id)
    }
    await rounds(watchOf(), [now])
    expect(await bad.rollbacks()).toHaveLength(1)
    expect(await alike.rollbacks()).toEqual([])
  })
})
