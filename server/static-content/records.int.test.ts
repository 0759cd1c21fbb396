/** Tests of static sites with a database: routes, healing, clean-up. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pino } from 'pino'
import { pack } from 'tar-stream'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { AppError } from '@/shared/errors'
import { newId } from '@/shared/node/ids'
import { createDeploymentRow, createProject, createReleaseWithInstance, openTestDatabase } from '@/test/support/factory'
import { isArtifactThere } from '../deployments/artifact-lock'
import { pruneArtifacts } from '../deployments/prune'
import { type HealDeps, healEnvironment, releasesOfFiles } from '../instances/heal'
import { computeRoutes } from '../routes/compute'
import { openStaticContents, type StaticContents } from './static-content'

const logger = pino({ level: 'silent' })
let db: Awaited<ReturnType<typeof openTestDatabase>>
let home: string
let contents: StaticContents
let reads = 0
let unreadable: AppError | null = null

beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())
beforeEach(async () => {
  reads = 0
  unreadable = null
  home = await mkdtemp(path.join(tmpdir(), 'switchyard-records-'))
  contents = await openStaticContents({ home, builder: { files }, logger })
  return () => rm(home, { recursive: true, force: true })
})

async function files(): Promise<NodeJS.ReadableStream> {
  reads++
  if (unreadable) throw unreadable
  const tar = pack()
  tar.entry({ name: 'site/index.html' }, 'home')
  tar.finalize()
  return tar as unknown as NodeJS.ReadableStream
}

/** A project whose live release is static files, with an instance from before routers served static files. */
async function site(kind: 'image' | 'bundle' = 'bundle') {
  const owner = await createProject(db.prisma)
  const deployment = await createDeploymentRow(db.prisma, owner, { status: 'ACTIVE' })
  const { release, instance, artifact } = await createReleaseWithInstance(db.prisma, owner, deployment.id, { state: 'stopped', port: 4000 })
  const digest = `sha256:${newId()
    .replace(/[^0-9a-f]/g, '0')
    .padEnd(64, 'a')}`
  const content = { root: 'site', spa: false }
  const row = await db.prisma.artifact.update({ where: { id: artifact.id }, data: { digest, content, kind } })
  await db.prisma.environment.update({ where: { id: owner.environment.id }, data: { liveReleaseId: release.id } })
  return { owner, deployment, release, instance, artifact: row, digest, spec: content }
}
const healDeps = () =>
  ({
    prisma: db.prisma,
    contents,
    logger,
    runtime: { kind: 'process' },
    routes: { sync: async () => {} },
    bus: { publish: async () => {} },
  }) as unknown as HealDeps
const routeOf = async (host: string, candidates: { environmentId: string; releaseId: string | null }[] = []) =>
  (await computeRoutes(db.prisma, 'localhost', candidates, undefined, contents)).find((route) => route.host === host)

test('a live release of files is routed to them once they are laid out, by both of its hostnames', async () => {
  const { owner, deployment, digest } = await site()
  const host = `${owner.project.slug}.localhost`
  // Not unpacked yet: the route is live without targets, so the state is not "stopped".
  const before = await routeOf(host)
  expect(before).toMatchObject({ state: 'live', targets: [] })
  expect(before?.content).toBeUndefined()
  await healEnvironment(healDeps(), owner.environment.id)
  const content = { digest, directory: path.join(home, 'static', digest.slice(7)), spa: false }
  expect(await routeOf(host)).toMatchObject({ state: 'live', targets: [], content, deploymentId: deployment.id })
  expect(await routeOf(`${owner.project.slug}-${deployment.id}.localhost`)).toMatchObject({ state: 'live', content })
  await healEnvironment(healDeps(), owner.environment.id)
  expect(reads).toBe(1)
})

test('a proposal for another release takes the files away from the routes, and back', async () => {
  const { owner, release } = await site()
  await healEnvironment(healDeps(), owner.environment.id)
  const next = await createDeploymentRow(db.prisma, owner, { status: 'DEPLOYING' })
  const server = await createReleaseWithInstance(db.prisma, owner, next.id, { state: 'starting', port: 4001 })
  const host = `${owner.project.slug}.localhost`
  const proposed = await routeOf(host, [{ environmentId: owner.environment.id, releaseId: server.release.id }])
  expect(proposed).toMatchObject({ deploymentId: next.id, targets: [{ port: 4001 }] })
  expect(proposed?.content).toBeUndefined()
  expect(await routeOf(host, [{ environmentId: owner.environment.id, releaseId: release.id }])).toMatchObject({
    content: { spa: false },
    targets: [],
  })
})

test('the monitor leaves a release alone whose files are there, and only that', async () => {
  const { owner, release } = await site()
  expect(await releasesOfFiles(healDeps(), [release.id])).toEqual(new Set())
  await healEnvironment(healDeps(), owner.environment.id)
  expect(await releasesOfFiles(healDeps(), [release.id, 'other'])).toEqual(new Set([release.id]))
})

test('an artifact that is lost is built again; an engine that does not answer is waited for', async () => {
  const lost = await site()
  unreadable = new AppError('ERR_NOT_FOUND', 'gone')
  await healEnvironment(healDeps(), lost.owner.environment.id)
  expect(await db.prisma.deployment.count({ where: { projectId: lost.owner.project.id, status: 'PENDING' } })).toBe(1)
  const waiting = await site()
  unreadable = new AppError('ERR_UNAVAILABLE', 'not now')
  await expect(healEnvironment(healDeps(), waiting.owner.environment.id)).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
  expect(await db.prisma.deployment.count({ where: { projectId: waiting.owner.project.id, status: 'PENDING' } })).toBe(0)
})

test('files go with their artifact, and not before', async () => {
  const { owner, artifact, spec } = await site()
  await healEnvironment(healDeps(), owner.environment.id)
  const removed: string[] = []
  const deps = {
    prisma: db.prisma,
    contents,
    logger,
    builder: { removeArtifact: async ({ digest }: { digest: string }) => void removed.push(digest) },
    runtime: { forget: async () => {} },
  } as unknown as Parameters<typeof pruneArtifacts>[0]
  // Older than what is kept, but live.
  for (let i = 0; i < 6; i++)
    await site().then(({ artifact: { id } }) => db.prisma.artifact.update({ where: { id }, data: { projectId: owner.project.id } }))
  await pruneArtifacts(deps, owner.project.id)
  expect(removed).not.toContain(artifact.digest)
  expect(contents.locate(artifact.digest, spec)).not.toBeNull()
  await db.prisma.environment.update({ where: { id: owner.environment.id }, data: { liveReleaseId: null } })
  await pruneArtifacts(deps, owner.project.id)
  expect(removed).toContain(artifact.digest)
  expect(contents.locate(artifact.digest, spec)).toBeNull()
  expect(await readdir(path.join(home, 'static'))).toEqual([])
})

test('who is about to rely on an artifact waits for the clean-up that takes it away, and hears that it is gone', async () => {
  const { owner, artifact } = await site()
  await db.prisma.environment.update({ where: { id: owner.environment.id }, data: { liveReleaseId: null } })
  for (let i = 0; i < 5; i++)
    await site().then(({ artifact: { id } }) => db.prisma.artifact.update({ where: { id }, data: { projectId: owner.project.id } }))
  const stored = new Set([artifact.digest])
  const events: string[] = []
  let release = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  let began = () => {}
  const begun = new Promise<void>((resolve) => {
    began = resolve
  })
  const builder = {
    async removeArtifact({ digest }: { digest: string }) {
      began()
      await held
      stored.delete(digest)
      events.push('removed')
    },
    async artifactExists({ digest }: { digest: string }) {
      events.push('looked')
      return stored.has(digest)
    },
  }
  const deps = { prisma: db.prisma, contents, logger, builder, runtime: { forget: async () => {} } } as unknown as Parameters<
    typeof pruneArtifacts
  >[0]
  const pruning = pruneArtifacts(deps, owner.project.id)
  await begun
  // Another project builds the same content at this moment: its record comes too late for the clean-up to see.
  const other = await site()
  await db.prisma.artifact.update({ where: { id: other.artifact.id }, data: { digest: artifact.digest } })
  const there = isArtifactThere(deps, { digest: artifact.digest } as Parameters<typeof isArtifactThere>[1])
  release()
  expect(await there).toBe(false)
  await pruning
  expect(events).toEqual(['removed', 'looked'])
  // Once it is on record it stays.
  stored.add(artifact.digest)
  await db.prisma.artifact.update({ where: { id: artifact.id }, data: { removedAt: null } })
  await pruneArtifacts(deps, owner.project.id)
  expect(events).toEqual(['removed', 'looked'])
  expect(await isArtifactThere(deps, { digest: artifact.digest } as Parameters<typeof isArtifactThere>[1])).toBe(true)
})
