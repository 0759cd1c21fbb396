import { afterAll, beforeAll, expect, it } from 'vitest'
import { createProject, openTestDatabase } from '@/test/support/factory'
import type { Actor } from '../platform'
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
