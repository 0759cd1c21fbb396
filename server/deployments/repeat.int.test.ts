import { pino } from 'pino'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { newId } from '@/shared/node/ids'
import { deploymentInput } from '@/shared/views'
import type { BlobStore } from '@/storage/blob-store'
import { createDeploymentRow, createProject, openTestDatabase } from '@/test/support/factory'
import type { Actor } from '../actor'
import { type ChangeBus, createChangeBus } from '../events/bus'
import { createDeployment } from './create'

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

const digest = (letter: string) => `sha256:${letter.repeat(64)}`
const kept = new Set([digest('a'), digest('b'), digest('c')])
const storage = { stat: async (wanted: string) => (kept.has(wanted) ? { sizeBytes: 1 } : null) } as unknown as BlobStore

async function world() {
  const owner = await createProject(db.prisma)
  const actor: Actor = { kind: 'user', id: 'u', name: 'Ada', teamId: owner.teamId, role: 'member', operator: false }
  const deploy = async (input: object) => {
    const { deploymentId } = await createDeployment(
      { prisma: db.prisma, bus, storage },
      actor,
      deploymentInput.parse({ projectId: owner.project.id, ...input }),
    )
    const row = await db.prisma.deployment.findUniqueOrThrow({ where: { id: deploymentId } })
    // Only one may run at a time.
    await db.prisma.deployment.update({ where: { id: deploymentId }, data: { status: 'FAILED' } })
    return row
  }
  const record = async (data: object) => {
    const { id } = await createDeploymentRow(db.prisma, owner, { status: 'SUPERSEDED' })
    return db.prisma.deployment.update({ where: { id }, data })
  }
  return { owner, deploy, record }
}

it('a redeployment builds the upload of the deployment it names, not the newest one, failed or not', async () => {
  const { deploy, record } = await world()
  const first = await record({ source: { kind: 'archive', digest: digest('a') } })
  const failed = await record({ source: { kind: 'archive', digest: digest('b') }, status: 'FAILED' })
  await record({ source: { kind: 'archive', digest: digest('c') }, status: 'CANCELED' })
  expect(await deploy({ repeat: first.id })).toMatchObject({ source: { kind: 'archive', digest: digest('a') }, repeats: first.id, createdBy: 'Ada' })
  expect(await deploy({ repeat: failed.id })).toMatchObject({ source: { digest: digest('b') }, repeats: failed.id })
})

it('a redeployment of a commit keeps its repository, branch and author, whatever the project’s settings are now', async () => {
  const { owner, deploy, record } = await world()
  const commit = { commitSha: 'f'.repeat(40), commitMessage: 'Add a cart', commitAuthor: 'Grace', branch: 'next' }
  const source = { kind: 'git', url: 'https://git.example/shop.git', ref: 'next', allowPrivateNetwork: false }
  const before = await record({ source, ref: 'next', ...commit })
  await db.prisma.project.update({ where: { id: owner.project.id }, data: { repository: 'https://git.example/other.git', branch: 'main' } })
  expect(await deploy({ repeat: before.id })).toMatchObject({
    ...commit,
    repeats: before.id,
    source: { ...source, ref: commit.commitSha },
  })
})

it('a redeployment stays in the environment of the deployment it repeats, unless another is named', async () => {
  const { owner, deploy, record } = await world()
  const staging = {
    id: newId(),
    teamId: owner.teamId,
    projectId: owner.project.id,
    name: 'staging',
    kind: 'CUSTOM',
    slug: `s-${owner.project.id}`,
  } as const
  await db.prisma.environment.create({ data: staging })
  const before = await record({ source: { kind: 'archive', digest: digest('a') }, environmentId: staging.id })
  expect(await deploy({ repeat: before.id })).toMatchObject({ environmentId: staging.id })
  expect(await deploy({ repeat: before.id, environment: 'production' })).toMatchObject({ environmentId: owner.environment.id })
})

it('nothing is deployed to the environment that all previews inherit from', async () => {
  const { owner, deploy } = await world()
  const template = {
    id: newId(),
    teamId: owner.teamId,
    projectId: owner.project.id,
    name: 'preview',
    kind: 'PREVIEW',
    slug: `p-${owner.project.id}`,
  } as const
  await db.prisma.environment.create({ data: template })
  await db.prisma.upload.create({ data: { teamId: owner.teamId, digest: digest('a'), sizeBytes: 1 } })
  await expect(deploy({ source: digest('a'), environment: 'preview' })).rejects.toThrow('nothing is deployed to it')
})

it('what cannot be repeated is refused with what to do: an upload that is gone, a deployment of another project, nothing named at all', async () => {
  const [ours, theirs] = [await world(), await world()]
  const gone = await ours.record({ source: { kind: 'archive', digest: digest('d') } })
  await expect(ours.deploy({ repeat: gone.id })).rejects.toMatchObject({
    code: 'ERR_CONFLICT',
    details: { nextAction: expect.stringContaining('folder') },
  })
  const foreign = await theirs.record({ source: { kind: 'archive', digest: digest('a') } })
  await expect(ours.deploy({ repeat: foreign.id })).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
  await expect(ours.deploy({})).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
  expect(deploymentInput.safeParse({ projectId: 'p', repeat: 'd', ref: 'main' }).success).toBe(false)
})
