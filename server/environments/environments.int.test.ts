import { afterAll, beforeAll, expect, test } from 'vitest'
import { environmentInput } from '@/shared/environments'
import { newId } from '@/shared/node/ids'
import { deploymentInput } from '@/shared/views'
import type { BlobStore } from '@/storage/blob-store'
import { createDeploymentRow, createProject, createReleaseWithInstance, openTestDatabase } from '@/test/support/factory'
import type { Actor } from '../actor'
import { scopeTo } from '../database/scope'
import { createDeployment } from '../deployments/create'
import { effectiveVariables } from '../deployments/variables'
import type { ChangeBus } from '../events/bus'
import { computeRoutes } from '../routes/compute'
import { createEnvironments, ensurePreviewEnvironment } from './environments'
import { closeExpired } from './expiry'

let db: Awaited<ReturnType<typeof openTestDatabase>>
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

const bus = { publish: async () => {} }
const request = { pullRequest: 7, branch: 'login', title: 'Sign in', author: 'ada', fork: false }

async function projectWithTemplate() {
  const owner = await createProject(db.prisma)
  const template = await db.prisma.environment.create({
    data: {
      id: newId(),
      teamId: owner.teamId,
      projectId: owner.project.id,
      name: 'preview',
      kind: 'PREVIEW',
      slug: `previews-of-${owner.project.id}`,
    },
  })
  return { ...owner, template, scoped: scopeTo(db.prisma, owner) }
}
const hostsOf = async (projectId: string) =>
  (await computeRoutes(db.prisma, 'localhost', [])).filter((route) => route.projectId === projectId).map((route) => route.host)

test('all events of a pull request lead to one preview, which opens again under its old address after it was closed', async () => {
  const { project, scoped } = await projectWithTemplate()
  const opened = await Promise.all(Array.from({ length: 8 }, () => ensurePreviewEnvironment(scoped, project, request)))
  expect(new Set(opened.map(({ id }) => id)).size).toBe(1)
  expect(await hostsOf(project.id)).toEqual([`${project.slug}.localhost`, `${project.slug}-pr-7.localhost`])
  await db.prisma.environment.update({ where: { id: opened[0]?.id ?? '' }, data: { expiresAt: new Date(Date.now() - 1) } })
  await closeExpired({ prisma: db.prisma, bus })
  expect(await hostsOf(project.id)).toEqual([`${project.slug}.localhost`])
  expect(await ensurePreviewEnvironment(scoped, project, request)).toMatchObject({ id: opened[0]?.id, closedAt: null, slug: `${project.slug}-pr-7` })
})

test('a preview inherits the variables of all previews, its own win, and those of production never reach it', async () => {
  const { project, teamId, environment, template, scoped } = await projectWithTemplate()
  const preview = await ensurePreviewEnvironment(scoped, project, request)
  const put = (environmentId: string, key: string, value: string) =>
    db.prisma.variable.create({ data: { id: newId(), teamId, environmentId, key, ciphertext: Buffer.from(value) } })
  await put(environment.id, 'SECRET', 'of production')
  await put(template.id, 'API', 'of all previews')
  await put(template.id, 'COLOUR', 'of all previews')
  await put(preview.id, 'COLOUR', 'of this preview')
  const found = await effectiveVariables(scoped, preview.id)
  expect(Object.fromEntries(found.map(({ key, ciphertext }) => [key, Buffer.from(ciphertext).toString()]))).toEqual({
    API: 'of all previews',
    COLOUR: 'of this preview',
  })
})

test('a preview that expires loses its live version and its queued deployments, and keeps their record', async () => {
  const { project, teamId, scoped, ...owner } = await projectWithTemplate()
  const preview = await ensurePreviewEnvironment(scoped, project, { ...request, pullRequest: 8 })
  const own = { ...owner, teamId, project, environment: preview }
  const live = await createDeploymentRow(db.prisma, own, { status: 'ACTIVE' })
  const { release } = await createReleaseWithInstance(db.prisma, own, live.id, { state: 'healthy', port: 4_400 })
  const waiting = await createDeploymentRow(db.prisma, own)
  await db.prisma.environment.update({ where: { id: preview.id }, data: { liveReleaseId: release.id, expiresAt: new Date(0) } })
  await closeExpired({ prisma: db.prisma, bus })
  const rows = await db.prisma.deployment.findMany({ where: { environmentId: preview.id }, orderBy: { createdAt: 'asc' } })
  expect(rows).toMatchObject([
    { id: live.id, status: 'SUPERSEDED', reason: 'The time to live of the preview has passed.' },
    { id: waiting.id, status: 'CANCELED' },
  ])
  expect(await db.prisma.release.findUniqueOrThrow({ where: { id: release.id } })).toMatchObject({ wanted: 'stopped' })
})

const digest = `sha256:${'a'.repeat(64)}`
const storage = { stat: async (wanted: string) => (wanted === digest ? { sizeBytes: 1 } : null) } as unknown as BlobStore

async function pullRequestWorld() {
  const world = await projectWithTemplate()
  const { project, teamId } = world
  const deploy = async (input: object) => {
    const deps = { prisma: db.prisma, bus: bus as unknown as ChangeBus, storage }
    const actor = { kind: 'api-key', id: 'k', name: 'CI', teamId, role: 'member', operator: false } as const
    const { deploymentId } = await createDeployment(deps, actor, deploymentInput.parse({ projectId: project.id, ...input }))
    const row = await db.prisma.deployment.findUniqueOrThrow({ where: { id: deploymentId }, include: { environment: true } })
    await db.prisma.deployment.update({ where: { id: deploymentId }, data: { status: 'FAILED' } })
    return row
  }
  await db.prisma.upload.create({ data: { teamId, digest, sizeBytes: 1 } })
  return { ...world, deploy }
}

test('a deployment of a pull request opens its preview and goes there, from an upload or from the head of its branch', async () => {
  const { project, template, deploy } = await pullRequestWorld()
  const uploaded = await deploy({ pullRequest: 7, source: digest, branch: 'login', title: 'Sign in', author: 'ada' })
  expect(uploaded).toMatchObject({ branch: 'login', source: { kind: 'archive', digest } })
  const preview = { name: 'pr-7', kind: 'PREVIEW', pullRequest: 7, parentId: template.id, slug: `${project.slug}-pr-7`, fork: false }
  expect(uploaded.environment).toMatchObject({ ...preview, branch: 'login', title: 'Sign in', author: 'ada' })
  await db.prisma.project.update({ where: { id: project.id }, data: { repository: 'https://git.example/shop.git', branch: 'main' } })
  const fromGit = await deploy({ pullRequest: 7 })
  expect(fromGit).toMatchObject({ environmentId: uploaded.environmentId, branch: 'login', source: { kind: 'git', ref: 'login' } })
  expect(fromGit.environment).toMatchObject({ title: 'Sign in', author: 'ada' })
})

test('a deployment of a pull request never falls back to the branch of production, and leaves no preview behind when it is refused', async () => {
  const { project, deploy } = await pullRequestWorld()
  await db.prisma.project.update({ where: { id: project.id }, data: { repository: 'https://git.example/shop.git', branch: 'main' } })
  await expect(deploy({ pullRequest: 9 })).rejects.toMatchObject({
    code: 'ERR_INVALID_INPUT',
    details: { nextAction: expect.stringContaining('branch') },
  })
  await expect(deploy({ pullRequest: 9, source: `sha256:${'b'.repeat(64)}` })).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
  expect(await db.prisma.environment.count({ where: { projectId: project.id, pullRequest: 9 } })).toBe(0)
  const wrong = [{ pullRequest: 9, environment: 'production' }, { branch: 'login' }, { pullRequest: 0 }]
  for (const input of wrong) expect(deploymentInput.safeParse({ projectId: project.id, ...input }).success, JSON.stringify(input)).toBe(false)
})

test('a deployment by API of a pull request from a fork waits for approval, as its Git events do', async () => {
  const { project, scoped, deploy } = await pullRequestWorld()
  const { id } = await ensurePreviewEnvironment(scoped, project, { ...request, fork: true })
  await expect(deploy({ pullRequest: 7, source: digest })).rejects.toMatchObject({ code: 'ERR_CONFLICT', message: expect.stringContaining('fork') })
  expect(await db.prisma.environment.findUniqueOrThrow({ where: { id } })).toMatchObject({ fork: true, approvedAt: null })
})

const environments = () =>
  createEnvironments({ prisma: db.prisma, bus, edge: { scheme: 'http', port: 80, baseDomain: 'localhost' }, routesChanged: async () => {} })
const adminOf = ({ teamId }: { teamId: string }): Actor => ({ kind: 'user', id: 'u', name: 'Ada', teamId, role: 'admin', operator: false })

test('an approval holds for the commit that was read, not for one that was pushed meanwhile', async () => {
  const { project, teamId, scoped } = await projectWithTemplate()
  const preview = await ensurePreviewEnvironment(scoped, project, { ...request, pullRequest: 9, fork: true })
  const hook = await db.prisma.gitHook.create({ data: { id: newId(), teamId, projectId: project.id, secret: new Uint8Array(1) } })
  const deliver = (headSha: string, at: number) =>
    db.prisma.gitDelivery.create({
      data: {
        ...{ id: newId(), teamId, projectId: project.id, hookId: hook.id, provider: 'github', deliveryId: headSha, part: 0, event: 'pull_request' },
        ...{ content: { headSha }, subject: 'pull:9', subjectAt: new Date(at), decision: 'waiting', reason: 'fork' },
      },
    })
  await deliver('a'.repeat(40), 1_000)
  await deliver('b'.repeat(40), 2_000)
  const actor = adminOf({ teamId })
  expect(await environments().get(actor, preview.id)).toMatchObject({ waitingCommit: 'b'.repeat(40), approval: null })
  for (const commit of ['a'.repeat(40), null])
    await expect(environments().approve(actor, preview.id, commit)).rejects.toThrow(`The commit that waits for approval is ${'b'.repeat(40)}`)
  await environments().approve(actor, preview.id, 'b'.repeat(40))
})

test('a custom environment takes no hostname of a deployment or of a preview, of its own project or of another', async () => {
  const owner = await createProject(db.prisma, { slug: `shop-${newId()}` })
  const other = await createProject(db.prisma, { slug: `${owner.project.slug}-api` })
  const deployment = await createDeploymentRow(db.prisma, other)
  const create = (name: string) => environments().create(adminOf(owner), owner.project.id, { name, branch: null })
  for (const name of [`api-${deployment.id}`, 'api-pr-7']) await expect(create(name)).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
  expect(environmentInput.safeParse({ name: 'pr-7' }).success).toBe(false)
  expect(await create('staging')).toMatchObject({ url: `http://${owner.project.slug}-staging.localhost` })
})
