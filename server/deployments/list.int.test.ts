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
  const deps = { prisma: db.prisma, edge } as unknown as DeploymentsDeps
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
