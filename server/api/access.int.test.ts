import { afterAll, beforeAll, expect, it } from 'vitest'
import { newId } from '@/shared/node/ids'
import { deploymentInput, projectInput } from '@/shared/views'
import { createTestApi, type TestApi } from '@/test/support/api'
import type { Actor } from '../platform'

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
    return (await api.platform.deployments.create(actor, { projectId, source, triggeredBy })).triggeredBy
  }
  const { id } = await api.database.prisma.user.findFirstOrThrow()
  const person = await api.platform.accounts.actorOfUser(id)
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
