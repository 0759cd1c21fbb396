import { afterAll, beforeAll, expect, it } from 'vitest'
import { createDeploymentRow, createProject, openTestDatabase } from '@/test/support/factory'
import type { Actor } from '../platform'
import { createDeployments, type DeploymentsDeps } from '.'

let db: Awaited<ReturnType<typeof openTestDatabase>>
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

it('lists deployments of one status over all of its pages, of this team alone', async () => {
  const [ours, theirs] = [await createProject(db.prisma), await createProject(db.prisma)]
  const failed: string[] = []
  for (let i = 0; i < 4; i++) {
    failed.unshift((await createDeploymentRow(db.prisma, ours, { status: 'FAILED' })).id)
    await createDeploymentRow(db.prisma, ours, { status: 'SUPERSEDED' })
    await createDeploymentRow(db.prisma, theirs, { status: 'FAILED' })
  }
  const deps = { prisma: db.prisma, edge: { scheme: 'http', port: 8080, baseDomain: 'localhost' } } as unknown as DeploymentsDeps
  const actor: Actor = { kind: 'user', id: 'u', name: 'U', teamId: ours.teamId, role: 'member', operator: false }
  const read = (cursor?: string) => createDeployments(deps).list(actor, { status: 'FAILED' }, { limit: 3, ...(cursor ? { cursor } : {}) })
  const first = await read()
  const second = await read(first.nextCursor ?? '')
  expect([...first.items, ...second.items].map(({ id }) => id)).toEqual(failed)
  expect([first.items.length, second.nextCursor]).toEqual([3, null])
  expect((await createDeployments(deps).list(actor, {}, { limit: 100 })).items).toHaveLength(8)
})
