import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AppError } from '@/shared/errors'
import { newId } from '@/shared/node/ids'
import type { TestApi } from '@/test/support/api'
import { createGitWorld, deliver, pushOf } from '@/test/support/git-events'
import type { GitServer } from '@/test/support/git-server'
import type { Actor } from '../actor'
import { handleRest } from '../api/rest/handler'
import type { GitEventsDeps } from '.'
import { decideProject } from './decide'

type World = Awaited<ReturnType<typeof createGitWorld>>
type Hooked = Awaited<ReturnType<World['projectOf']>>
type Sent = Parameters<typeof deliver>[2]

let world: World
let api: TestApi
let owner: Actor
let server: GitServer
let deps: GitEventsDeps

beforeAll(async () => {
  world = await createGitWorld()
  ;({ api, owner, server, deps } = world)
})
afterAll(() => world.close())

const projectOf: World['projectOf'] = (name, settings) => world.projectOf(name, settings)
const send = ({ hook }: Pick<Hooked, 'hook'>, payload: object, sent?: Sent) => deliver(hook, payload, sent)

/** As the job does, again for as long as something has to wait. */
async function decide(projectId: string, use: GitEventsDeps = deps): Promise<void> {
  let laterMs: number | null = 0
  while (laterMs !== null) laterMs = await decideProject(use, projectId, AbortSignal.timeout(60_000))
}

/** What a worker does: what is queued goes live. */
async function endRunning(projectId: string): Promise<void> {
  const { prisma } = api.database
  await prisma.deployment.updateMany({ where: { projectId, status: { in: ['PENDING', 'BUILDING', 'DEPLOYING'] } }, data: { status: 'ACTIVE' } })
}

const verdictOf = async (id: string) => {
  const row = await api.database.prisma.gitDelivery.findUniqueOrThrow({ where: { id } })
  return `${row.decision}: ${row.reason}`
}
const deploymentsOf = (projectId: string) => api.database.prisma.deployment.findMany({ where: { projectId }, orderBy: { createdAt: 'asc' } })

async function decided(hooked: Hooked, payload: object, sent: Sent = {}): Promise<string> {
  const { body } = await send(hooked, payload, sent)
  await decide(hooked.project.id)
  return verdictOf(body.id)
}

describe('who may deliver', () => {
  it('a genuine delivery is recorded and answered at once, a test delivery says that the webhook works', async () => {
    const hooked = await projectOf('first')
    expect(await send(hooked, { zen: 'Design for failure.' }, { event: 'ping' })).toMatchObject({
      status: 200,
      body: { decision: 'done', reason: expect.stringContaining('works') },
    })
    expect(await send(hooked, { action: 'created' }, { event: 'star' })).toMatchObject({
      status: 200,
      body: { decision: 'ignored', reason: '"star" events deploy nothing' },
    })
    expect(await send(hooked, pushOf('first', 'main', hooked.sha, hooked.sha.replace(/^./, '0')))).toMatchObject({
      status: 202,
      body: { decision: 'pending' },
    })
    const { rows } = await api.database.pool.query(`SELECT 1 FROM "Job" WHERE "kind"='git-events' AND "payload"->>'projectId'=$1`, [
      hooked.project.id,
    ])
    expect(rows).toHaveLength(1)
    expect((await api.platform.gitEvents.hook(owner, 'first')).lastDeliveryAt).not.toBeNull()
  })

  it('a wrong secret, a missing signature, an unknown address and 25 MB are refused and leave nothing', async () => {
    const { prisma } = api.database
    const hooked = await projectOf('strict')
    const { urls } = hooked.hook
    const post = async (url: string, init: RequestInit & { duplex?: 'half' }) =>
      (await handleRest(new Request(url, { method: 'POST', ...init }))).status
    expect((await send(hooked, pushOf('strict', 'main', hooked.sha, hooked.sha), { secret: 'wrong' })).status).toBe(401)
    for (const url of Object.values(urls)) expect(await post(url, { body: '{}' })).toBe(401)
    expect(await post(`${urls.github}x`, { body: '{}' })).toBe(404)
    expect(await post(urls.github.replace('github', 'svn'), { body: '{}' })).toBe(404)
    let wasRead = false
    const unread = new ReadableStream(
      {
        pull() {
          wasRead = true
        },
      },
      { highWaterMark: 0 },
    )
    const proof = { 'x-hub-signature-256': 'sha256=00' }
    expect(await post(urls.github, { body: unread, duplex: 'half', headers: { ...proof, 'content-length': String(25 * 1024 * 1024) } })).toBe(413)
    expect(wasRead).toBe(false)
    // Without a length the reading ends at the limit.
    let sentBytes = 0
    const endless = new ReadableStream({
      pull(controller) {
        sentBytes += 65_536
        controller.enqueue(new Uint8Array(65_536))
      },
    })
    expect(await post(urls.github, { body: endless, duplex: 'half', headers: proof })).toBe(413)
    expect(sentBytes).toBeLessThan(6 * 1024 * 1024)
    expect((await handleRest(new Request(urls.github))).status).toBe(405)
    expect(await prisma.gitDelivery.count({ where: { projectId: hooked.project.id } })).toBe(0)
  })

  it('after a rotation the old secret is accepted for as long as it was asked for', async () => {
    const hooked = await projectOf('rotated')
    const ping = (secret: string) => send(hooked, { zen: newId() }, { event: 'ping', secret }).then(({ status }) => status)
    const kept = await api.platform.gitEvents.rotateSecret(owner, { project: 'rotated', keepPreviousMinutes: 5 })
    expect([await ping(kept.secret), await ping(hooked.hook.secret)]).toEqual([200, 200])
    const { secret } = await api.platform.gitEvents.rotateSecret(owner, { project: 'rotated', keepPreviousMinutes: 0 })
    expect([await ping(secret), await ping(kept.secret), await ping(hooked.hook.secret)]).toEqual([200, 401, 401])
  })
})

describe('what a push does', () => {
  it('deploys the head of the branch of production, and says why another one is not deployed', async () => {
    const hooked = await projectOf('shop', { rootDirectory: 'apps/web' })
    const { project, sha } = hooked
    const b = await server.commit('shop', { 'apps/web/a': '1' })
    const push = pushOf('shop', 'main', sha, b, { files: ['apps/web/a'], message: 'Add a' })
    const said = await decided(hooked, push, { id: 'first push' })
    const [deployment] = await deploymentsOf(project.id)
    expect(said).toBe(`queued: deployment ${deployment?.id} in production`)
    expect(deployment).toMatchObject({ commitSha: b, branch: 'main', commitMessage: 'Add a', commitAuthor: 'Ada', source: { kind: 'git', ref: b } })
    await endRunning(project.id)
    expect((await send(hooked, push, { id: 'first push' })).body).toMatchObject({ decision: 'ignored', reason: 'repeated delivery' })
    expect(await decided(hooked, push)).toBe(`ignored: ${b.slice(0, 7)} is deployed to production already`)
    const c = await server.commit('shop', { 'docs/a': '1' })
    expect(await decided(hooked, pushOf('shop', 'main', b, c, { files: ['docs/a'] }))).toBe('ignored: only files outside apps/web changed')
    const d = await server.commit('shop', { 'apps/web/b': '1' })
    expect(await decided(hooked, pushOf('shop', 'main', c, d, { files: ['apps/web/b'], message: 'Later [skip ci]' }))).toBe('ignored: [skip ci]')
    // What was skipped is not live: the next commit is deployed, whatever its files.
    const e = await server.commit('shop', { 'docs/b': '1' })
    expect(await decided(hooked, pushOf('shop', 'main', d, e, { files: ['docs/b'] }))).toMatch(/^queued: /)
    expect(await decided(hooked, pushOf('shop', 'feature', sha, b))).toBe('ignored: branch feature is not deployed')
    expect(await decided(hooked, pushOf('shop', 'main', e, '0'.repeat(40)))).toBe('ignored: branch main was deleted')
    expect(await decided(hooked, pushOf('other/shop2', 'main', sha, b))).toBe('ignored: the repository is another one: other/shop2')
    expect((await deploymentsOf(project.id)).map((one) => one.commitSha)).toEqual([b, e])
  })

  it('paused automatic deploys, another environment of the branch, and the default branch', async () => {
    const { prisma } = api.database
    const hooked = await projectOf('pausing', { branch: null })
    const { project, sha } = hooked
    await prisma.environment.updateMany({ where: { projectId: project.id }, data: { autoDeploy: false } })
    await prisma.environment.create({
      data: { id: newId(), teamId: owner.teamId, projectId: project.id, name: 'staging', kind: 'CUSTOM', branch: 'main', slug: 'pausing-staging' },
    })
    const b = await server.commit('pausing', { a: '1' })
    const { body } = await send(hooked, pushOf('pausing', 'main', sha, b))
    await decide(project.id)
    expect(await verdictOf(body.id)).toMatch(/^queued: deployment \w+ in staging; ignored: automatic deploys of production are paused$/)
    // A person resumes, and has the delivery handled once more.
    await prisma.environment.updateMany({ where: { projectId: project.id }, data: { autoDeploy: true } })
    const replayed = await api.platform.gitEvents.replay(owner, body.id)
    await decide(project.id)
    expect(await verdictOf(replayed.id)).toMatch(/^queued: deployment \w+ in production; ignored: \w+ is deployed to staging already$/)
    const { items } = await api.platform.gitEvents.deliveries(owner, { projectId: 'pausing', limit: 1 })
    expect(items).toMatchObject([
      {
        id: replayed.id,
        replayOf: body.id,
        direction: 'in',
        provider: 'github',
        event: 'push',
        branch: 'main',
        commitSha: b,
        replayable: true,
        deploymentIds: [expect.any(String), expect.any(String)],
      },
    ])
  })

  it('a branch that is set back and forth ends at its head, each time once', async () => {
    const hooked = await projectOf('back')
    const { project, sha: a } = hooked
    const b = await server.commit('back', { a: '1' })
    expect(await decided(hooked, pushOf('back', 'main', a, b))).toMatch(/^queued/)
    await endRunning(project.id)
    await server.git('back', ['update-ref', 'refs/heads/main', a])
    expect(await decided(hooked, { ...pushOf('back', 'main', b, a), forced: true })).toMatch(/^queued/)
    await endRunning(project.id)
    // The first push again, under an id of its own: the head is still a.
    expect(await decided(hooked, pushOf('back', 'main', a, b))).toBe(`ignored: ${a.slice(0, 7)} is deployed to production already`)
    expect((await deploymentsOf(project.id)).map((one) => one.commitSha)).toEqual([b, a])
  })

  it('a repository that does not answer is asked again, and the delivery fails with the reason', async () => {
    const hooked = await projectOf('silent')
    const { body } = await send(hooked, pushOf('silent', 'main', 'a'.repeat(40), 'b'.repeat(40)))
    const down = { ...deps, readHead: () => Promise.reject(new AppError('ERR_SOURCE', 'git.example could not be reached')) }
    expect(await decideProject(down, hooked.project.id, AbortSignal.timeout(10_000))).toBeGreaterThan(0)
    expect(await verdictOf(body.id)).toBe('pending: ')
    await decide(hooked.project.id, { ...down, giveUpMs: 0 })
    expect(await verdictOf(body.id)).toBe('failed: git.example could not be reached')
  })

  it('a process that ends between queueing and recording is found to have queued', async () => {
    const hooked = await projectOf('crash')
    const b = await server.commit('crash', { a: '1' })
    const { body } = await send(hooked, pushOf('crash', 'main', hooked.sha, b))
    const dies: GitEventsDeps = {
      ...deps,
      async queue(what) {
        await deps.queue(what)
        throw new Error('killed')
      },
    }
    await expect(decideProject(dies, hooked.project.id, AbortSignal.timeout(10_000))).rejects.toThrow('killed')
    await decide(hooked.project.id)
    const deployments = await deploymentsOf(hooked.project.id)
    expect(deployments).toHaveLength(1)
    expect(await verdictOf(body.id)).toBe(`queued: deployment ${deployments[0]?.id} in production`)
  })
})

describe('pull requests', () => {
  it('get a preview of their head, forks after a member approved the commit; what is older changes nothing', async () => {
    const hooked = await projectOf('acme/pulls')
    const { project, sha } = hooked
    const preview = () => api.database.prisma.environment.findFirstOrThrow({ where: { projectId: project.id, name: 'pr-7' } })
    let at = 0
    const pull = (action: string, head: string, options: { fork?: boolean; merged?: boolean; at?: number } = {}) => ({
      ...{ action, number: 7, repository: { full_name: 'acme/pulls' } },
      pull_request: {
        ...{ title: 'T', user: { login: 'eve' }, merged: options.merged ?? false },
        head: { ref: 'feature', sha: head, repo: { full_name: options.fork ? 'eve/pulls' : 'acme/pulls' } },
        base: { ref: 'main', sha, repo: { full_name: 'acme/pulls' } },
        updated_at: new Date(Date.UTC(2026, 0, 1) + (options.at ?? ++at) * 1000).toISOString(),
      },
    })
    const say = async (payload: object) => {
      const { body } = await send(hooked, payload, { event: 'pull_request' })
      await decide(project.id)
      return { id: body.id, said: await verdictOf(body.id) }
    }
    const [one, two] = ['1'.repeat(40), '2'.repeat(40)]
    expect((await say(pull('opened', one))).said).toMatch(/^queued: deployment \w+ in pr-7$/)
    expect((await say(pull('labeled', one))).said).toBe('ignored: "labeled" of pull request 7 changes nothing that is deployed')
    await endRunning(project.id)
    const waiting = await say(pull('synchronize', two, { fork: true }))
    expect(waiting.said).toBe('waiting: fork: a member has to approve 2222222')
    expect(await preview()).toMatchObject({ fork: true, approvedAt: null, pullRequest: 7, slug: 'acme-pulls-pr-7' })
    const approval = await api.platform.gitEvents.approve(owner, waiting.id)
    expect((await preview()).approvedBy).toBeNull()
    await decide(project.id)
    expect(await verdictOf(approval.id)).toMatch(/^queued: deployment \w+ in pr-7$/)
    await expect(api.platform.gitEvents.approve(owner, approval.id)).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
    expect((await say(pull('closed', two, { merged: true }))).said).toBe('done: pr-7 is closed: pull request 7 was merged')
    expect((await say(pull('synchronize', one, { at: 1 }))).said).toBe('ignored: a newer event of pull request 7 was handled before')
    expect((await deploymentsOf(project.id)).map((row) => row.commitSha)).toEqual([one, two])
    expect((await preview()).closedAt).not.toBeNull()
  })
})

describe('deploy hooks', () => {
  it('a secret address deploys the head of a branch until it is removed; its token is kept as a hash', async () => {
    const hooked = await projectOf('cms')
    const { url, id } = await api.platform.gitEvents.createDeployHook(owner, { project: 'cms', name: 'cms', environment: 'production' })
    const use = (address: string) => handleRest(new Request(address, { method: 'POST' }))
    const answer = await use(url)
    expect(answer.status).toBe(202)
    expect(await answer.json()).toMatchObject({ branch: 'main', commitSha: hooked.sha })
    expect(await deploymentsOf(hooked.project.id)).toMatchObject([{ commitSha: hooked.sha, createdBy: 'deploy hook cms' }])
    expect(JSON.stringify(await api.database.prisma.deployHook.findMany())).not.toContain(url.split('/').at(-1))
    expect((await use(`${url}x`)).status).toBe(404)
    await api.platform.gitEvents.removeDeployHook(owner, id)
    expect((await use(url)).status).toBe(404)
    expect(await api.platform.gitEvents.deployHooks(owner, 'cms')).toEqual([])
  })
})

it('a storm of 1,000 deliveries, a third repeated and in any order, ends in one deployment of each head', async () => {
  const { heads, distinct, recorded, deployments, statuses } = await world.storm({ deliveries: 1_000, repeated: 0.3, senders: 8 })
  expect([...statuses].sort()).toEqual([200, 202])
  expect(recorded).toBe(distinct)
  const waiting = deployments.filter(({ status }) => status === 'PENDING').map(({ branch, commitSha }) => [branch, commitSha])
  expect(Object.fromEntries(waiting)).toEqual({ main: heads.main, next: heads.next })
  expect(waiting).toHaveLength(2)
  expect(new Set(deployments.map(({ commitSha }) => commitSha)).size).toBe(deployments.length)
})
