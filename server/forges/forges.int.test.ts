import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type ForgeProvider, forgeInput, forgeProviders } from '@/shared/forges'
import { newId } from '@/shared/node/ids'
import { projectInput } from '@/shared/views'
import { createTestApi, type TestApi } from '@/test/support/api'
import { createDeploymentRow } from '@/test/support/factory'
import { startTestForge, type TestForge, testForgeToken, testRepository } from '@/test/support/forge'
import type { Actor } from '../actor'
import { relayBatch } from '../outbox/relay'
import { writeEvent } from '../outbox/write-event'
import { forgeFanOut } from './fan-out'
import { claimReports, report } from './reporter'

let api: TestApi
/** May reach private networks, where the stand-ins are. */
let operator: Actor
const edge = { scheme: 'http', port: 8080, baseDomain: 'localhost' } as const
const dashboardUrl = 'https://deploy.example.com'
const open: TestForge[] = []
const commit = 'a'.repeat(40)

beforeAll(async () => {
  api = await createTestApi()
  operator = await api.actorOf(api.boot.teamId, 'admin', { operator: true })
})
afterAll(() => api.close())
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

type Status = 'PENDING' | 'ACTIVE' | 'FAILED' | 'CANCELED'

/** A connected project with a preview of pull request 7, and the loops' work done by hand. */
async function stage(provider: ForgeProvider) {
  const { prisma } = api.database
  const forge = await startTestForge(provider)
  open.push(forge)
  const name = `shop-${newId()}`
  const project = await api.platform.projects.create(operator, projectInput.parse({ name, repository: `https://git.example/${testRepository}.git` }))
  const { teamId } = operator
  const connect = (token = testForgeToken) =>
    api.platform.forges.set(operator, project.id, forgeInput.parse({ provider, apiUrl: forge.apiUrl, token }))
  await connect()
  const environment = await prisma.environment.create({
    data: { id: newId(), teamId, projectId: project.id, name: 'pr-7', kind: 'PREVIEW', slug: `${name}-pr-7`, pullRequest: 7 },
  })
  const deps = { prisma, secrets: api.secrets, edge, dashboardUrl, logger: pino({ level: 'silent' }) }
  const owner = { teamId, project, environment }
  return {
    forge,
    project,
    environment,
    connect,
    deps,
    deploy: (data: { commitSha?: string | null } = {}) =>
      createDeploymentRow(prisma, owner, { status: 'PENDING', branch: 'feature', commitSha: commit, ...data }),
    /** Moves the deployment and writes the event, as the record of a deployment does. */
    async move(deploymentId: string, status: Status) {
      const now = new Date()
      await prisma.$transaction(async (tx) => {
        await tx.deployment.update({ where: { id: deploymentId }, data: { status, ...(status === 'ACTIVE' ? { liveAt: now } : { endedAt: now }) } })
        const payload = { deploymentId, environmentId: environment.id, code: null }
        await writeEvent(tx, { teamId, projectId: project.id, kind: 'deployment.failed', payload })
      })
    },
    async requested(deploymentId: string) {
      const payload = { deploymentId, environmentId: environment.id, triggeredBy: 'git' }
      await prisma.$transaction((tx) => writeEvent(tx, { teamId, projectId: project.id, kind: 'deployment.preview.requested', payload }))
    },
    /** Reads the outbox and sends what is due now, until nothing is. */
    async send(): Promise<number> {
      await relayBatch({ prisma, edge, subscribers: [forgeFanOut] })
      let sent = 0
      for (let claimed = await claimReports(prisma, 5); claimed.length > 0; claimed = await claimReports(prisma, 5))
        for (const one of claimed) {
          await report(deps, one, new AbortController().signal)
          sent++
        }
      return sent
    },
    hurry: () =>
      prisma.forgeReport.updateMany({ where: { projectId: project.id, dueAt: { not: null } }, data: { dueAt: new Date(0), claimedUntil: null } }),
    connection: () => api.platform.forges.get(operator, project.id),
  }
}

const endStates: Record<ForgeProvider, { queued: string; ready: string; failed: string }> = {
  github: { queued: 'pending', ready: 'success', failed: 'failure' },
  gitlab: { queued: 'pending', ready: 'success', failed: 'failed' },
  bitbucket: { queued: 'INPROGRESS', ready: 'SUCCESSFUL', failed: 'FAILED' },
  gitea: { queued: 'pending', ready: 'success', failed: 'failure' },
}

describe.each(forgeProviders)('%s', (provider) => {
  test('is told of each state of a deployment: status of the commit, one comment kept up to date, deployment where there are some', async () => {
    const { forge, project, deploy, move, requested, send, connection } = await stage(provider)
    const first = await deploy()
    await requested(first.id)
    expect(await send()).toBe(1)
    const context = `switchyard/${project.slug}/pr-7`
    const url = `${dashboardUrl}/${project.slug}/deployments/${first.id}`
    const key = provider === 'bitbucket' ? context.slice(-40) : context
    expect(forge.statuses.at(-1)).toEqual({ sha: commit, context: key, state: endStates[provider].queued, url })
    expect(forge.comments).toHaveLength(1)
    expect(forge.comments[0]?.body).toContain('Queued')
    await move(first.id, 'ACTIVE')
    await send()
    expect(forge.statuses.at(-1)?.state).toBe(endStates[provider].ready)
    expect(forge.comments.map(({ body }) => body)).toEqual([expect.stringContaining(`[Visit](http://${project.slug}-pr-7.localhost:8080)`)])
    const second = await deploy({ commitSha: 'b'.repeat(40) })
    await move(second.id, 'FAILED')
    await send()
    expect(forge.statuses.at(-1)).toMatchObject({ sha: 'b'.repeat(40), state: endStates[provider].failed })
    expect(forge.comments.map(({ body }) => body)).toEqual([
      expect.stringContaining(`[Failed](${dashboardUrl}/${project.slug}/deployments/${second.id})`),
    ])
    const states = forge.deployments.map(({ sha, states }) => [sha[0], states])
    if (provider === 'github')
      expect(states).toEqual([
        ['a', ['queued', 'success']],
        ['b', ['failure']],
      ])
    else if (provider === 'gitlab')
      expect(states).toEqual([
        ['a', ['created', 'success']],
        ['b', ['failed']],
      ])
    else expect(states).toEqual([])
    expect(await connection()).toMatchObject({ provider, repository: testRepository, problem: null })
  })

  test('is told once although the reporter dies after each request that changed something', async () => {
    const { forge, deploy, requested, deps, hurry, send } = await stage(provider)
    const { id } = await deploy()
    await requested(id)
    await relayBatch({ prisma: deps.prisma, edge, subscribers: [forgeFanOut] })
    let writes = 0
    for (let dieAfter = 1; dieAfter <= 5; dieAfter++) {
      const [claimed] = await claimReports(deps.prisma, 1)
      if (!claimed) break
      const process = new AbortController()
      writes = 0
      forge.intercept = ({ method }) => {
        if (process.signal.aborted) return { status: 500 }
        if (method !== 'GET' && ++writes > dieAfter) process.abort(new Error('killed'))
        return null
      }
      await report(deps, claimed, process.signal).catch(() => {})
      await hurry()
    }
    forge.intercept = null
    await send()
    expect(forge.comments).toHaveLength(1)
    expect(forge.deployments.length).toBeLessThanOrEqual(1)
    expect(new Set(forge.statuses.map(({ context }) => context)).size).toBe(1)
  })

  test('that does not accept the token is named with what to do, and a new token sends what was refused', async () => {
    const { forge, deploy, requested, connect, send, connection } = await stage(provider)
    await connect('expired')
    await requested((await deploy()).id)
    await send()
    expect(forge.statuses).toEqual([])
    expect((await connection())?.problem).toMatchObject({
      message: expect.stringContaining('does not accept the token (401)'),
      nextAction: 'Set a new token.',
    })
    const asked = forge.requests.length
    expect(await send()).toBe(0)
    expect(forge.requests).toHaveLength(asked)
    await connect()
    expect(await send()).toBe(1)
    expect([forge.statuses.length, forge.comments.length]).toEqual([1, 1])
    expect(await connection()).toMatchObject({ problem: null })
  })
})

test('a rate limit stops all reports of the project until it ends, and costs no attempt', async () => {
  const { forge, deploy, requested, send, connection, deps, project } = await stage('github')
  const reset = Math.floor(Date.now() / 1000) + 600
  forge.intercept = () => ({
    status: 403,
    headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(reset) },
    body: { message: 'API rate limit exceeded' },
  })
  await requested((await deploy()).id)
  await requested((await deploy()).id)
  expect(await send()).toBe(1)
  expect(forge.requests).toHaveLength(1)
  expect(await connection()).toMatchObject({
    pausedUntil: new Date(reset * 1000).toISOString(),
    problem: { message: expect.stringContaining('rate limit of GitHub') },
  })
  forge.intercept = null
  await deps.prisma.forgeConnection.update({ where: { projectId: project.id }, data: { pausedUntil: new Date() } })
  await deps.prisma.forgeReport.updateMany({ where: { projectId: project.id }, data: { dueAt: new Date() } })
  expect(await send()).toBe(2)
  expect(await connection()).toMatchObject({ pausedUntil: null, problem: null })
})

test('a token that may write comments but no statuses still keeps the comment up to date, and the missing right is named', async () => {
  const { forge, deploy, requested, send, connection } = await stage('github')
  forge.intercept = ({ path }) =>
    path.includes('/statuses/') ? { status: 403, body: { message: 'Resource not accessible by personal access token' } } : null
  await requested((await deploy()).id)
  await send()
  expect(forge.comments).toHaveLength(1)
  expect((await connection())?.problem?.message).toMatch(/may not do this at GitHub \(403\): POST .+\/statuses\//)
})

test('a Git host that fails is asked again after a pause', async () => {
  const { forge, deploy, requested, send, connection, hurry } = await stage('gitea')
  forge.intercept = () => ({ status: 502, body: 'bad gateway' })
  await requested((await deploy()).id)
  expect(await send()).toBe(1)
  expect((await connection())?.problem?.message).toContain('Gitea fails (502)')
  forge.intercept = null
  expect(await send()).toBe(0)
  await hurry()
  expect(await send()).toBe(1)
  expect([forge.statuses.length, (await connection())?.problem]).toEqual([1, null])
})

test('our comment is found behind a hundred others, and an upload, whose commit nobody knows, is not reported', async () => {
  const { forge, deploy, move, requested, send } = await stage('gitlab')
  for (let id = 0; id < 150; id++) forge.comments.push({ id, body: `comment ${id}` })
  const { id } = await deploy()
  await requested(id)
  await send()
  forge.comments.unshift(...Array.from({ length: 100 }, (_, n) => ({ id: 5_000 + n, body: 'older' })))
  await move(id, 'ACTIVE')
  await send()
  expect(forge.comments.filter(({ body }) => body.includes('switchyard:'))).toHaveLength(1)
  const requests = forge.requests.length
  await requested((await deploy({ commitSha: null })).id)
  await send()
  expect(forge.requests).toHaveLength(requests)
})

test('the address of an API is judged as that of a webhook: no private network without an operator', async () => {
  const admin = await api.actorOf(api.boot.teamId, 'admin')
  const project = await api.platform.projects.create(admin, projectInput.parse({ name: `shop-${newId()}` }))
  const set = (actor: Actor, apiUrl: string) =>
    api.platform.forges.set(actor, project.id, forgeInput.parse({ provider: 'gitea', apiUrl, repository: 'a/b', token: 'x' }))
  for (const url of ['https://127.0.0.1/api/v1', 'https://10.1.1.1', 'http://1.1.1.1', 'https://169.254.169.254'])
    await expect(set(admin, url), url).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
  await expect(set(operator, 'https://169.254.169.254')).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
  expect(await set(operator, 'http://127.0.0.1:1')).toMatchObject({ apiUrl: 'http://127.0.0.1:1' })
  await expect(api.platform.forges.set(operator, project.id, forgeInput.parse({ provider: 'github', token: 'x' }))).rejects.toMatchObject({
    details: { nextAction: 'Send repository as owner/name.' },
  })
})
