import { afterAll, beforeAll, expect, it } from 'vitest'
import { createDeploymentRow, createProject, openTestDatabase } from '@/test/support/factory'
import type { Actor } from '../actor'
import { clearBuildCache } from './clear-build-cache'
import type { ProjectDeps } from './deps'
import { removeProject } from './remove'

let db: Awaited<ReturnType<typeof openTestDatabase>>
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

async function visited(slug: string) {
  const { teamId, project } = await createProject(db.prisma, { slug })
  const ids = { teamId, projectId: project.id }
  const line = { ...ids, requestId: 'r', host: `${slug}.localhost`, method: 'GET', target: '/', status: 200, durationMs: 1 }
  await db.prisma.accessLine.createMany({
    data: Array.from({ length: 30 }, () => ({ ...line, at: new Date(), detail: { clientIp: '198.51.100.9' } })),
  })
  await db.prisma.trafficMinute.create({ data: { ...ids, minute: new Date(0), host: line.host, requests: 1, bytesIn: 0, bytesOut: 0, cacheHits: 0 } })
  return { ...ids, name: project.name }
}
const left = async (projectId: string) => [
  await db.prisma.accessLine.count({ where: { projectId } }),
  await db.prisma.trafficMinute.count({ where: { projectId } }),
]

it('nothing is left of the visitors of a project that is removed, and nothing of others is touched', async () => {
  const [gone, other] = [await visited('gone'), await visited('other')]
  const deps = { prisma: db.prisma, bus: { publish: async () => {} }, teardown: async () => {} } as unknown as ProjectDeps
  const actor: Actor = { kind: 'user', id: 'u', name: 'U', teamId: gone.teamId, role: 'owner', operator: false }
  await expect(removeProject(deps, actor, other.projectId, other.name)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
  await removeProject(deps, actor, gone.projectId, gone.name)
  expect([await left(gone.projectId), await left(other.projectId)]).toEqual([
    [0, 0],
    [30, 1],
  ])
})

it('after the build cache is cleared no result of an earlier build is used, and releases keep theirs', async () => {
  const owner = await createProject(db.prisma)
  const { teamId, project } = owner
  const ids = { teamId, projectId: project.id }
  const artifact = { kind: 'bundle', digest: 'sha256:1', sizeBytes: 1, framework: 'node', metadata: {} }
  await db.prisma.artifact.create({ data: { id: `built-${project.id}`, ...ids, ...artifact, buildKey: 'of an earlier build' } })
  const cleared: string[] = []
  const builder = { clearCache: async (id: string) => (cleared.push(id) ? 4096 : 0) }
  const deps = { prisma: db.prisma, builder } as unknown as ProjectDeps
  const actor: Actor = { kind: 'user', id: 'u', name: 'U', teamId, role: 'member', operator: false }
  expect(await clearBuildCache(deps, actor, project.slug)).toEqual({ freedBytes: 4096 })
  expect(cleared).toEqual([project.id])
  expect(await db.prisma.artifact.findMany({ where: ids })).toMatchObject([{ digest: 'sha256:1', buildKey: '', removedAt: null }])
  await createDeploymentRow(db.prisma, owner, { status: 'BUILDING' })
  await expect(clearBuildCache(deps, actor, project.id)).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
})
