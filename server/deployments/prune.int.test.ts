import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createDeploymentRow, createProject, createReleaseWithInstance, openTestDatabase } from '@/test/support/factory'
import { pruneArtifacts } from './prune'

let db: Awaited<ReturnType<typeof openTestDatabase>>
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

test('deployments that fail push no artifact out that has been live', async () => {
  const owner = await createProject(db.prisma)
  const make = async (liveAt: Date | null) => {
    const deployment = await createDeploymentRow(db.prisma, owner, { status: liveAt ? 'SUPERSEDED' : 'FAILED' })
    const { artifact } = await createReleaseWithInstance(db.prisma, owner, deployment.id, { state: 'stopped', port: 4400 })
    await db.prisma.deployment.update({ where: { id: deployment.id }, data: { liveAt, artifactId: artifact.id } })
    return artifact.id
  }
  const good = await Promise.all([1, 2, 3].map(() => make(new Date())))
  for (let i = 0; i < 6; i++) await make(null)
  const nothing = async () => {}
  await pruneArtifacts(
    {
      prisma: db.prisma,
      builder: { removeArtifact: nothing },
      contents: { remove: nothing },
      runtime: { forget: nothing },
      logger: pino({ level: 'silent' }),
    } as never,
    owner.project.id,
  )
  const left = await db.prisma.artifact.findMany({ where: { projectId: owner.project.id, removedAt: null }, select: { id: true } })
  expect(left).toHaveLength(4)
  expect(left.map(({ id }) => id)).toEqual(expect.arrayContaining(good))
})
