import { afterAll, beforeAll, expect, it } from 'vitest'
import { newId } from '@/shared/node/ids'
import { createDeploymentRow, createProject, createReleaseWithInstance, openTestDatabase } from '@/test/support/factory'
import type { Actor } from '../actor'
import { scopeTo } from '../database/scope'
import { presentOne } from '../projects/read'
import { createDeployments, type DeploymentsDeps } from '.'
import { readTrouble } from './still-serving'

let db: Awaited<ReturnType<typeof openTestDatabase>>
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

const edge = { scheme: 'http', port: 8080, baseDomain: 'localhost' } as const
function of({ teamId }: { teamId: string }): { deps: DeploymentsDeps; actor: Actor } {
  const secrets = { open: async (_team: string, sealed: Uint8Array) => Buffer.from(sealed).toString() }
  const deps = { prisma: db.prisma, edge, secrets } as unknown as DeploymentsDeps
  return { deps, actor: { kind: 'user', id: 'u', name: 'U', teamId, role: 'member', operator: false } }
}

it('lists deployments of one status over all of its pages, of this team alone', async () => {
  const [ours, theirs] = [await createProject(db.prisma), await createProject(db.prisma)]
  const failed: string[] = []
  for (let i = 0; i < 4; i++) {
    failed.unshift((await createDeploymentRow(db.prisma, ours, { status: 'FAILED' })).id)
    await createDeploymentRow(db.prisma, ours, { status: 'SUPERSEDED' })
    await createDeploymentRow(db.prisma, theirs, { status: 'FAILED' })
  }
  const { deps, actor } = of(ours)
  const read = (cursor?: string) => createDeployments(deps).list(actor, { status: 'FAILED' }, { limit: 3, ...(cursor ? { cursor } : {}) })
  const first = await read()
  const second = await read(first.nextCursor ?? '')
  expect([...first.items, ...second.items].map(({ id }) => id)).toEqual(failed)
  expect([first.items.length, second.nextCursor]).toEqual([3, null])
  expect((await createDeployments(deps).list(actor, {}, { limit: 100 })).items).toHaveLength(8)
})

it('every view of an app that keeps crashing says so: the project, the lists, the deployment, the error of a later attempt', async () => {
  const owner = await createProject(db.prisma)
  const { deps, actor } = of(owner)
  const row = await createDeploymentRow(db.prisma, owner, { status: 'ACTIVE' })
  const { release, instance, artifact } = await createReleaseWithInstance(db.prisma, owner, row.id, { state: 'stopped', port: 4000 })
  await db.prisma.environment.update({ where: { id: owner.environment.id }, data: { liveReleaseId: release.id } })
  const startedAt = new Date()
  const ends = Array.from({ length: 4 }, () => ({ ...instance, id: newId(), exit: { code: 1 }, startedAt, stoppedAt: startedAt }))
  await db.prisma.instance.createMany({ data: ends })
  const healths = async () => {
    const scoped = scopeTo(db.prisma, actor)
    const project = await presentOne(scoped, owner.project, edge)
    const list = await createDeployments(deps).list(actor, {}, { limit: 10 })
    const { health, liveDeployment, latestDeployment } = project
    return [
      health,
      liveDeployment?.health,
      latestDeployment?.health,
      list.items[0]?.health,
      (await createDeployments(deps).get(actor, row.id)).health,
    ]
  }
  expect((await healths()).map((health) => health?.state)).toEqual(Array(5).fill('crashing'))
  expect(await readTrouble(scopeTo(db.prisma, actor), release.id)).toMatch(/does not serve well.* keeps crashing/)
  // Files alone need no instance.
  await db.prisma.artifact.update({ where: { id: artifact.id }, data: { content: { root: 'dist', spa: false } } })
  expect((await healths()).map((health) => health?.state)).toEqual(Array(5).fill('healthy'))
  await db.prisma.environment.update({ where: { id: owner.environment.id }, data: { liveReleaseId: null } })
  expect((await healths()).map((health) => health?.state)).toEqual(['none', undefined, 'none', 'none', 'none'])
})

const sealed = (text: string) => new Uint8Array(Buffer.from(text))

it('a comparison names the variables that differ and what a release would cancel, and never shows a value', async () => {
  const owner = await createProject(db.prisma)
  const { deps, actor } = of(owner)
  const version = async (port: number, variables: Record<string, string>) => {
    const row = await createDeploymentRow(db.prisma, owner, { status: 'SUPERSEDED', liveAt: new Date(), commitSha: String(port) })
    const { release, artifact } = await createReleaseWithInstance(db.prisma, owner, row.id, { state: 'stopped', port })
    await db.prisma.release.update({ where: { id: release.id }, data: { variables: sealed(JSON.stringify(variables)) } })
    await db.prisma.deployment.update({ where: { id: row.id }, data: { artifactId: artifact.id } })
    return { id: row.id, release }
  }
  const before = await version(4000, { KEPT: 'one-secret', OLD: 'two-secret', TURNED: 'three-secret' })
  const live = await version(4001, { KEPT: 'one-secret', FRESH: 'four-secret', TURNED: 'five-secret' })
  const { id: environmentId } = owner.environment
  await db.prisma.environment.update({ where: { id: environmentId }, data: { liveReleaseId: live.release.id, settings: { instances: 3 } } })
  const build = await createDeploymentRow(db.prisma, owner, { status: 'BUILDING' })
  const { teamId, project } = owner
  const preview = await db.prisma.environment.create({
    data: { id: newId(), teamId, projectId: project.id, name: 'pr-7', kind: 'PREVIEW', slug: `${project.slug}-pr-7` },
  })
  const set = (where: string, key: string, value: string) =>
    db.prisma.variable.create({ data: { id: newId(), teamId, environmentId: where, key, ciphertext: sealed(value), scope: 'BOTH' } })
  await set(environmentId, 'VITE_API', 'of-production')
  await set(preview.id, 'VITE_API', 'of-the-preview')
  await set(environmentId, 'VITE_SAME', 'equal')
  await set(preview.id, 'VITE_SAME', 'equal')

  const back = await createDeployments(deps).compare(actor, { deploymentId: before.id, present: false })
  expect(back).toMatchObject({
    environment: { name: 'production' },
    from: { deployment: { id: live.id, live: true } },
    to: { deployment: { id: before.id }, artifact: { sizeBytes: 1, removed: false } },
    variables: { added: ['OLD'], removed: ['FRESH'], changed: ['TURNED'] },
    settings: [],
    builds: [{ id: build.id }],
  })
  const restart = await createDeployments(deps).compare(actor, { deploymentId: live.id, present: true })
  expect(restart.variables).toMatchObject({ added: ['VITE_API', 'VITE_SAME'], removed: ['FRESH', 'KEPT', 'TURNED'] })
  expect(restart.settings).toContainEqual({ name: 'Instances', from: '1', to: '3' })
  const promotion = await createDeployments(deps).compare(actor, { deploymentId: before.id, environment: 'pr-7', present: true })
  expect(promotion).toMatchObject({ from: null, variables: null, environment: { name: 'pr-7' } })
  expect(promotion.frozenVariables).toEqual([
    { name: 'VITE_API', differs: true },
    { name: 'VITE_SAME', differs: false },
  ])
  expect(JSON.stringify([back, restart, promotion])).not.toMatch(/-secret|of-production|of-the-preview|equal/)
  const stranger = of(await createProject(db.prisma))
  await expect(createDeployments(stranger.deps).compare(stranger.actor, { deploymentId: before.id, present: false })).rejects.toThrow('There is no')
})
