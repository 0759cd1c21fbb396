import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newId } from '@/shared/node/ids'
import { maxVariableBytes } from '@/shared/variables'
import { projectInput, projectPatch, variableInput } from '@/shared/views'
import { createTestApi, type TestApi } from '@/test/support/api'
import type { Actor } from '../actor'
import { sealRepositories } from './seal-repositories'

let api: TestApi
let ours: Actor
let theirs: Actor
let member: Actor

beforeAll(async () => {
  api = await createTestApi()
  ours = await api.actorOf(api.boot.teamId, 'admin', { operator: true })
  member = await api.actorOf(api.boot.teamId, 'member')
  theirs = await api.actorOf(await api.addTeam('other'), 'admin')
})
afterAll(() => api.close())

/** The project's decrypted repository credentials. */
async function kept(projectId: string): Promise<unknown> {
  const { teamId, repositoryCredentials: sealed } = await api.database.prisma.project.findUniqueOrThrow({ where: { id: projectId } })
  return sealed && JSON.parse(await api.secrets.open(teamId, sealed))
}

const create = (actor: Actor, input: Parameters<typeof projectInput.parse>[0]) => api.platform.projects.create(actor, projectInput.parse(input))

describe('projects', () => {
  it('get a hostname from their name, a production environment and an audit entry', async () => {
    const project = await create(ours, { name: 'Café Site', repository: 'https://user:token@example.org/x.git', branch: 'main' })
    expect(project).toMatchObject({
      slug: 'cafe-site',
      url: 'http://cafe-site.localhost:8080',
      repository: 'https://example.org/x.git',
      repositoryCredentials: true,
      liveDeployment: null,
      latestDeployment: null,
      edgeProblems: [],
    })
    const { prisma } = api.database
    expect(await prisma.environment.findMany({ where: { projectId: project.id }, orderBy: { kind: 'asc' } })).toMatchObject([
      { name: 'production', kind: 'PRODUCTION', branch: 'main', teamId: ours.teamId, slug: 'cafe-site' },
      { name: 'preview', kind: 'PREVIEW', branch: null, teamId: ours.teamId },
    ])
    expect(await prisma.auditEntry.findFirst({ where: { subject: project.id } })).toMatchObject({ action: 'project.created', actorId: ours.id })
    expect(await prisma.project.findUnique({ where: { id: project.id } })).toMatchObject({ allowPrivateNetwork: true })
  })

  it('refuse a name the team has, and give another team a suffix', async () => {
    await create(ours, { name: 'shop' })
    await expect(create(ours, { name: 'shop' })).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
    await expect(create(ours, { name: 'Shop' })).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
    expect((await create(theirs, { name: 'shop' })).slug).toMatch(/^shop-[a-z2-9]{4}$/)
  })

  it('stay one of a name when created at the same moment', async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => create(ours, { name: 'race' })))
    expect(outcomes.filter((one) => one.status === 'fulfilled')).toHaveLength(1)
    for (const one of outcomes) if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'ERR_CONFLICT' })
  })

  it('never take the address of a page of the dashboard, nor of a deployment', async () => {
    expect((await create(ours, { name: 'settings' })).slug).toMatch(/^settings-/)
    const { projectId, deploymentId } = await addDeployment('victim')
    expect(projectId).toBeTruthy()
    expect((await create(theirs, { name: `victim-${deploymentId}` })).slug).not.toBe(`victim-${deploymentId}`)
  })

  it('refuse a name without letters, and an address nothing can be fetched from', async () => {
    await expect(create(ours, { name: '日本' })).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
    await expect(create(ours, { name: 'bad', repository: '--upload-pack=sh' })).rejects.toMatchObject({ code: 'ERR_SOURCE' })
    await expect(create(ours, { name: 'bad', repository: 'ext::sh -c id' })).rejects.toMatchObject({ code: 'ERR_SOURCE' })
  })

  it('a patch changes what it names, keeps the rest, the slug and an unseen token', async () => {
    const before = await create(ours, {
      name: 'patched',
      repository: 'https://t0ken@example.org/x.git',
      buildCommand: 'make',
      healthCheckPath: '/up',
    })
    const after = await api.platform.projects.update(
      ours,
      before.id,
      projectPatch.parse({ name: 'renamed', repository: before.repository, healthCheckPath: null }),
    )
    expect(after).toMatchObject({ name: 'renamed', slug: 'patched', buildCommand: 'make', healthCheckPath: null })
    expect(await kept(before.id)).toEqual({ url: 'https://example.org/x.git', username: 't0ken', password: '' })
    await expect(api.platform.projects.update(ours, before.id, projectPatch.parse({ name: 'shop' }))).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
  })

  it('keep credentials sealed and for one repository: another address drops them, new ones replace them', async () => {
    const { id } = await create(ours, { name: 'private source', repository: 'https://ada:p@ssw0rd@git.switchyard.invalid/shop' })
    const change = (repository: string | null) => api.platform.projects.update(ours, id, projectPatch.parse({ repository }))
    expect(await kept(id)).toMatchObject({ url: 'https://git.switchyard.invalid/shop', username: 'ada', password: 'p@ssw0rd' })
    expect(await change('https://git.switchyard.invalid/shop.git')).toMatchObject({ repositoryCredentials: true })
    expect(await kept(id)).toMatchObject({ url: 'https://git.switchyard.invalid/shop.git', password: 'p@ssw0rd' })
    expect(await change('https://tok@git.switchyard.invalid/shop.git')).toMatchObject({ repository: 'https://git.switchyard.invalid/shop.git' })
    expect(await kept(id)).toMatchObject({ username: 'tok', password: '' })
    expect(await change('https://git.switchyard.invalid/other.git')).toMatchObject({ repositoryCredentials: false })
    expect(await kept(id)).toBeNull()
    await change('https://tok@git.switchyard.invalid/other.git')
    expect(await change(null)).toMatchObject({ repository: null, repositoryCredentials: false })
    expect(await kept(id)).toBeNull()
  })

  it('seal credentials that an earlier version or a backup left in clear, in deployments too, and only once', async () => {
    const { id } = await create(ours, { name: 'left in clear' })
    const { prisma } = api.database
    const clear = 'https://ada:pa@ss-w0rd@example.org/x.git?private_token=q'
    await prisma.project.update({ where: { id }, data: { repository: clear } })
    const { deploymentId } = await addDeployment(null, { projectId: id })
    const source = { kind: 'git', url: clear, ref: 'main', allowPrivateNetwork: false }
    await prisma.deployment.update({ where: { id: deploymentId }, data: { source } })
    expect(await sealRepositories({ prisma, secrets: api.secrets })).toBe(2)
    expect(await sealRepositories({ prisma, secrets: api.secrets })).toBe(0)
    expect(await prisma.project.findUnique({ where: { id } })).toMatchObject({ repository: 'https://example.org/x.git' })
    expect(await kept(id)).toEqual({ url: 'https://example.org/x.git', username: 'ada', password: 'pa@ss-w0rd' })
    const { source: sealed } = await prisma.deployment.findUniqueOrThrow({ where: { id: deploymentId } })
    expect(sealed).toEqual({ ...source, url: 'https://example.org/x.git' })
  })

  it('refuse an address that will never be fetched from when it is saved, not only when it is fetched', async () => {
    const project = await create(ours, { name: 'kept away', repository: 'https://192.0.2.1/x.git' }).catch((error: unknown) => error)
    expect(project).toMatchObject({ code: 'ERR_SOURCE' })
    const other = await create(ours, { name: 'other address' })
    for (const host of ['169.254.169.254', '[fd00:ec2::254]', '[::ffff:169.254.169.254]', '100.100.100.200', '224.0.0.1']) {
      await expect(create(ours, { name: 'metadata', repository: `https://${host}/x.git` })).rejects.toMatchObject({ code: 'ERR_SOURCE' })
      await expect(api.platform.projects.update(ours, other.id, projectPatch.parse({ repository: `https://${host}/x.git` }))).rejects.toMatchObject({
        code: 'ERR_SOURCE',
      })
    }
    const stranger = { ...ours, operator: false }
    for (const host of ['127.0.0.1:3000', '10.0.0.1', 'localhost', '[::1]'])
      await expect(create(stranger, { name: 'inside', repository: `https://${host}/x.git` })).rejects.toMatchObject({ code: 'ERR_SOURCE' })
  })

  it('lose the right to private networks when somebody else than an operator changes the address', async () => {
    const project = await create(ours, { name: 'internal', repository: 'http://10.0.0.1/x.git' })
    await api.platform.projects.update(
      { ...ours, operator: false },
      project.id,
      projectPatch.parse({ repository: 'https://git.switchyard.invalid/x.git' }),
    )
    expect(await api.database.prisma.project.findUnique({ where: { id: project.id } })).toMatchObject({ allowPrivateNetwork: false })
  })

  it('are removed after the typed name and the teardown, with everything they own', async () => {
    const { projectId } = await addDeployment('gone')
    await expect(api.platform.projects.remove(ours, projectId, 'Gone')).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
    await api.platform.projects.remove(ours, projectId, 'gone')
    expect(api.tornDown).toContain(projectId)
    expect(await api.database.prisma.deployment.count({ where: { projectId } })).toBe(0)
    await expect(api.platform.projects.get(ours, projectId)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
  })

  it('show the live and the latest deployment, each its own', async () => {
    const live = await addDeployment('two-states', { live: true })
    const latest = await addDeployment(null, { projectId: live.projectId })
    const view = await api.platform.projects.get(ours, 'two-states')
    expect(view.liveDeployment).toMatchObject({ id: live.deploymentId, live: true, url: `http://two-states-${live.deploymentId}.localhost:8080` })
    expect(view.latestDeployment).toMatchObject({ id: latest.deploymentId, live: false })
    expect((await api.platform.projects.list(ours)).find((one) => one.slug === 'two-states')).toEqual(view)
  })
})

describe('variables', () => {
  const set = (actor: Actor, project: string, input: Parameters<typeof variableInput.parse>[0]) =>
    api.platform.variables.set(actor, project, variableInput.parse(input))

  it('are sealed in the database and never shown', async () => {
    const project = await create(ours, { name: 'vars' })
    const view = await set(ours, project.id, { key: 'API_TOKEN', value: 'hunter2 hunter2' })
    expect(JSON.stringify([view, await api.platform.variables.list(ours, project.id)])).not.toContain('hunter2')
    const row = await api.database.prisma.variable.findFirstOrThrow({ where: { key: 'API_TOKEN' } })
    expect(Buffer.from(row.ciphertext).includes('hunter2')).toBe(false)
    expect(await api.secrets.open(ours.teamId, row.ciphertext)).toBe('hunter2 hunter2')
    expect(
      JSON.stringify(await api.database.prisma.auditEntry.findMany({ where: { action: 'variable.set' }, select: { detail: true } })),
    ).not.toContain('hunter2')
  })

  it('are replaced by a second set, and gone after remove', async () => {
    const project = await create(ours, { name: 'vars-2' })
    await set(ours, project.slug, { key: 'A', value: '1' })
    await set(ours, project.slug, { key: 'A', value: '2', scope: 'build' })
    expect(await api.platform.variables.list(member, project.id)).toMatchObject([{ key: 'A', scope: 'build' }])
    await api.platform.variables.remove(ours, project.id, 'A')
    await expect(api.platform.variables.remove(ours, project.id, 'A')).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
  })

  it('are refused where they are set when no process could get them, without a word of the value', async () => {
    const project = await create(ours, { name: 'vars-limits' })
    await expect(set(ours, project.id, { key: 'PATH', value: '/nowhere' })).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
    await expect(set(ours, project.id, { key: 'PORT', value: '80' })).rejects.toThrow(/chooses the port/)
    expect(await set(ours, project.id, { key: 'NODE_OPTIONS', value: '--inspect' })).toMatchObject({
      caution: expect.stringContaining('npm included'),
    })
    const large = 'x'.repeat(maxVariableBytes)
    for (let i = 0; i < 8; i++) await set(ours, project.id, { key: `LARGE_${i}`, value: large })
    await expect(set(ours, project.id, { key: 'LARGE_8', value: large })).rejects.toThrow(/bytes together/)
    expect(await api.platform.variables.list(ours, project.id)).toHaveLength(9)
  })

  it('are out of reach for members who may not write, and for other teams', async () => {
    const project = await create(ours, { name: 'vars-3' })
    await expect(set(member, project.id, { key: 'A', value: '1' })).rejects.toMatchObject({ code: 'ERR_FORBIDDEN' })
    await expect(set(theirs, project.id, { key: 'A', value: '1' })).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
    await expect(api.platform.variables.list(theirs, project.id)).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
  })
})

async function addDeployment(
  name: string | null,
  options: { projectId?: string; live?: boolean } = {},
): Promise<{ projectId: string; deploymentId: string }> {
  const { prisma } = api.database
  const projectId = options.projectId ?? (await create(ours, { name: name ?? newId() })).id
  const { id: environmentId } = await prisma.environment.findFirstOrThrow({ where: { projectId } })
  const base = { teamId: ours.teamId, projectId, environmentId }
  const deploymentId = newId()
  const releaseId = options.live ? newId() : null
  await prisma.deployment.create({
    data: {
      ...base,
      id: deploymentId,
      status: options.live ? 'ACTIVE' : 'FAILED',
      triggeredBy: 'API',
      source: { kind: 'archive', digest: `sha256:${'0'.repeat(64)}` },
      releaseId,
    },
  })
  if (releaseId) await prisma.environment.update({ where: { id: environmentId }, data: { liveReleaseId: releaseId } })
  return { projectId, deploymentId }
}
