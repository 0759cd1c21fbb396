import { encode } from 'next-auth/jwt'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { newId } from '@/shared/node/ids'
import { deploymentInput, projectInput } from '@/shared/views'
import { createTestApi, type TestApi } from '@/test/support/api'
import type { Actor } from '../actor'
import { hashApiKey } from '../api-keys/key'
import { watchAccess } from './access'
import { handleRest } from './rest/handler'
import { handleTrpc } from './trpc-handler'

/** What a person or key may reach, beyond the status of each endpoint (matrix.int.test.ts). */

let api: TestApi
beforeAll(async () => {
  api = await createTestApi({ email: 'owner@example.org', password: 'of this test', apiKey: null })
})
afterAll(() => api.close())

const projectOf = (actor: Actor) => api.platform.projects.create(actor, projectInput.parse({ name: newId() }))
async function* archive(text: string) {
  yield Buffer.from(text)
}

it('a team deploys its own uploads, and no other team’s by their digest', async () => {
  const ours = await api.actorOf(api.boot.teamId, 'owner')
  const theirs = await api.actorOf(await api.addTeam('others'), 'owner')
  const { source } = await api.platform.deployments.uploadSource(ours, archive('our source'))
  const [our, their] = [await projectOf(ours), await projectOf(theirs)]
  const { deployments } = api.platform
  const unknown = `sha256:${'0'.repeat(64)}`
  const refusals = await Promise.all(
    [source, unknown].map((digest) =>
      deployments
        .create(theirs, deploymentInput.parse({ projectId: their.id, source: digest }))
        .catch((error: Error) => error.message.replace(digest, 'DIGEST')),
    ),
  )
  // The same words for both: nobody learns what another team has uploaded.
  expect(refusals).toEqual(['There is no uploaded source DIGEST.', 'There is no uploaded source DIGEST.'])
  expect(await deployments.create(ours, deploymentInput.parse({ projectId: our.id, source }))).toMatchObject({ status: 'PENDING' })
  // Who has the bytes may send them too.
  await deployments.uploadSource(theirs, archive('our source'))
  expect(await deployments.create(theirs, deploymentInput.parse({ projectId: their.id, source }))).toMatchObject({ status: 'PENDING' })
})

it('who triggered a deployment is recorded from who asks; only operators may name the platform', async () => {
  const { teamId } = api.boot
  const recorded = async (actor: Actor, triggeredBy: 'user' | 'api' | 'system') => {
    const { source } = await api.platform.deployments.uploadSource(actor, archive(newId()))
    const { id: projectId } = await projectOf(await api.actorOf(teamId, 'owner'))
    return (await api.platform.deployments.create(actor, deploymentInput.parse({ projectId, source, triggeredBy }))).triggeredBy
  }
  const { id } = await api.database.prisma.user.findFirstOrThrow()
  const person = await api.platform.accounts.actorOfSession(await api.platform.accounts.beginSession(id, { address: '::1', userAgent: null }))
  const member = await api.actorOf(teamId, 'member')
  if (!person) throw new Error('no person')
  await expect(recorded(member, 'system')).rejects.toMatchObject({ code: 'ERR_FORBIDDEN' })
  expect(await recorded(member, 'api')).toBe('api')
  expect(await recorded(person, 'system')).toBe('user')
  expect(await recorded(await api.actorOf(teamId, 'owner', { operator: true }), 'system')).toBe('system')
})

it('a key made by an operator is not an operator’s', async () => {
  const operator = await api.actorOf(api.boot.teamId, 'owner', { operator: true })
  for (const role of ['member', 'admin'] as const) {
    const { key } = await api.platform.apiKeys.create(operator, { name: role, role })
    expect(await api.platform.accounts.actorOfApiKey(key)).toMatchObject({ role, operator: false })
  }
})

/** A log stream that would go on for ever, by REST and by tRPC. */
async function openStreams(headers: Record<string, string>) {
  const { prisma } = api.database
  const owner = await api.actorOf(api.boot.teamId, 'owner')
  const { id: projectId } = await projectOf(owner)
  const { source } = await api.platform.deployments.uploadSource(owner, archive(newId()))
  const { id } = await api.platform.deployments.create(owner, deploymentInput.parse({ projectId, source }))
  await prisma.logLine.create({ data: { teamId: api.boot.teamId, deploymentId: id, step: 'build', stream: 'stdout', text: 'hello' } })
  const input = encodeURIComponent(JSON.stringify({ json: { deploymentId: id } }))
  const rest = await handleRest(new Request(`http://localhost:3000/api/v1/deployments/${id}/logs`, { headers }))
  const trpc = await handleTrpc(
    new Request(`http://localhost:3000/api/trpc/deployments.logs?input=${input}`, { headers: { accept: 'text/event-stream', ...headers } }),
  )
  expect([rest.status, trpc.status]).toEqual([200, 200])
  return [rest.text(), trpc.text()]
}
const refusal = /ERR_UNAUTHENTICATED|ERR_FORBIDDEN/

it('open streams end when the key is revoked, expires, or is deleted', async () => {
  const { prisma } = api.database
  const owner = await api.actorOf(api.boot.teamId, 'owner')
  for (const end of [
    (id: string) => api.platform.apiKeys.revoke(owner, id),
    (id: string) => prisma.apiKey.update({ where: { id }, data: { expiresAt: new Date(Date.now() + 50) } }),
    (id: string) => prisma.apiKey.delete({ where: { id } }),
  ]) {
    const key = await api.addKey(api.boot.teamId, 'member')
    const { id } = await prisma.apiKey.findUniqueOrThrow({ where: { hash: hashApiKey(api.secrets, key) } })
    const streams = await openStreams({ authorization: `Bearer ${key}` })
    await end(id)
    for (const stream of streams) expect(await stream).toMatch(refusal)
  }
})

it('a stream of something that the role no longer allows ends, and one that it allows goes on', async () => {
  const { prisma } = api.database
  const key = await api.addKey(api.boot.teamId, 'admin')
  const headers = new Headers({ authorization: `Bearer ${key}` })
  const actor = await api.platform.accounts.actorOfApiKey(key)
  if (!actor) throw new Error('no actor')
  const [writes, reads] = [watchAccess(headers, actor, 'project.update'), watchAccess(headers, actor, 'project.read')]
  const ended = new Promise((resolve) => writes.signal.addEventListener('abort', () => resolve(writes.signal.reason)))
  await prisma.apiKey.update({ where: { id: actor.id }, data: { role: 'MEMBER' } })
  expect(await ended).toMatchObject({ code: 'ERR_FORBIDDEN' })
  expect(reads.signal.aborted).toBe(false)
  reads.close()
})

it('open streams end when the person signs out elsewhere, changes the password, or leaves the team', async () => {
  const { prisma } = api.database
  const { accounts, settings } = api.platform
  const user = await prisma.user.findFirstOrThrow()
  const member = { teamId: api.boot.teamId, userId: user.id }
  for (const end of [
    (sid: string) => accounts.endSession(sid),
    () => prisma.user.update({ where: { id: user.id }, data: { passwordHash: newId() } }),
    () => prisma.membership.deleteMany({ where: member }),
  ]) {
    const sid = await accounts.beginSession(user.id, { address: '::1', userAgent: null })
    const token = await encode({ token: { sid }, secret: settings.authSecret, maxAge: 60 })
    const streams = await openStreams({ cookie: `next-auth.session-token=${token}` })
    await end(sid)
    for (const stream of streams) expect(await stream).toMatch(refusal)
  }
  await prisma.membership.create({ data: { ...member, role: 'OWNER' } })
})
