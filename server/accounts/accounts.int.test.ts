import { createHash } from 'node:crypto'
import { readFile, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { createTestApi, type TestApi } from '@/test/support/api'
import { createAccounts } from './accounts'
import { firstBoot } from './first-boot'
import { createThrottle } from './throttle'

let api: TestApi
const open = async (bootstrap: Parameters<typeof createTestApi>[0] = null) => {
  api = await createTestApi(bootstrap)
  return api
}
const boot = (bootstrap: Parameters<typeof createTestApi>[0] = null) =>
  firstBoot({ prisma: api.database.prisma, home: api.home, secrets: api.secrets, bootstrap, issueCode: true })
afterEach(() => api.close())

const account = { email: ' Ada@Example.ORG ', password: 'correct horse', name: 'Ada' }
const localhost = '127.0.0.1'
const from = { address: localhost, device: null }

it('the first account is made with the printed code only, once, and owns the first team', async () => {
  const { platform, boot: first } = await open()
  const { accounts } = platform
  expect(await accounts.setupNeeded()).toBe(true)
  expect(first.code).toMatch(/^([A-Z0-9]{4}-){3}[A-Z0-9]{4}$/)
  await expect(accounts.createFirstAccount({ ...account, code: 'AAAA-AAAA-AAAA-AAAA' }, localhost)).rejects.toMatchObject({ code: 'ERR_FORBIDDEN' })
  const { userId } = await accounts.createFirstAccount({ ...account, code: (first.code ?? '').toLowerCase() }, localhost)
  const session = await accounts.beginSession(userId, { address: localhost, userAgent: null })
  expect(await accounts.actorOfSession(session)).toMatchObject({ kind: 'user', role: 'owner', operator: true, teamId: first.teamId, name: 'Ada' })
  expect(await accounts.setupNeeded()).toBe(false)
  await expect(accounts.createFirstAccount({ ...account, code: first.code ?? '' }, localhost)).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
  expect((await boot()).code).toBeNull()
})

it('two people with the code at the same moment make one account', async () => {
  const { platform, boot: first, database } = await open()
  const attempts = ['a@b.co', 'c@d.co', 'e@f.co'].map((email) =>
    platform.accounts.createFirstAccount({ ...account, email, code: first.code ?? '' }, localhost),
  )
  const outcomes = await Promise.allSettled(attempts)
  expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(1)
  expect(await database.prisma.user.count()).toBe(1)
})

it('each start issues a new code and voids the old one; only its hash is stored', async () => {
  const { platform, boot: first, database } = await open()
  const second = await boot()
  expect(second).toMatchObject({ installationId: first.installationId, teamId: first.teamId })
  expect(second.code).not.toBe(first.code)
  expect(JSON.stringify(await database.prisma.setting.findMany())).not.toContain(second.code)
  await expect(platform.accounts.createFirstAccount({ ...account, code: first.code ?? '' }, localhost)).rejects.toMatchObject({
    code: 'ERR_FORBIDDEN',
  })
  await platform.accounts.createFirstAccount({ ...account, code: second.code ?? '' }, localhost)
})

it('bootstrap settings make the account and exactly the given key, and print no code', async () => {
  const given = { email: 'Root@Example.org', password: 'from the outside', apiKey: 'my-own-automation-key' }
  const { platform, boot: first, database } = await open(given)
  expect(first.code).toBeNull()
  expect(await platform.accounts.verifyPassword('root@example.org', 'from the outside', from)).toMatchObject({ email: 'root@example.org' })
  expect(await platform.accounts.actorOfApiKey('my-own-automation-key')).toMatchObject({ role: 'owner', operator: true })
  const stored = JSON.stringify(await database.prisma.apiKey.findMany())
  expect(stored).not.toContain(given.apiKey)
  expect(stored, 'a guess can be checked with the dump alone').not.toContain(createHash('sha256').update(given.apiKey).digest('hex'))
  await boot({ ...given, email: 'second@example.org', apiKey: 'another-key-entirely' })
  expect(await database.prisma.user.count()).toBe(1)
  expect(await platform.accounts.actorOfApiKey('another-key-entirely')).toBeNull()
})

it('this machine has an operator key in a file of its own, kept over restarts, renewed when it is lost', async () => {
  const { platform, home } = await open()
  const file = path.join(home, 'secrets', 'operator.key')
  const key = (await readFile(file, 'utf8')).trim()
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect(await platform.accounts.actorOfApiKey(key)).toMatchObject({ kind: 'api-key', role: 'owner', operator: true })
  await boot()
  expect((await readFile(file, 'utf8')).trim()).toBe(key)
  await rm(file)
  await boot()
  const renewed = (await readFile(file, 'utf8')).trim()
  expect(renewed).not.toBe(key)
  expect(await platform.accounts.actorOfApiKey(key)).toBeNull()
  expect(await platform.accounts.actorOfApiKey(renewed)).not.toBeNull()
})

it('a password fits in any spelling of the e-mail; guessing is slowed down, and the right password is never refused', async () => {
  const { platform, boot: first, database } = await open()
  await platform.accounts.createFirstAccount({ ...account, code: first.code ?? '' }, localhost)
  const waits: number[] = []
  const throttle = createThrottle({
    sleep: async (ms) => {
      waits.push(ms)
    },
  })
  const accounts = createAccounts({ prisma: database.prisma, secrets: api.secrets, throttle })
  expect(await accounts.verifyPassword('ADA@example.org', account.password, from)).toMatchObject({ name: 'Ada' })
  expect(await accounts.verifyPassword('nobody@example.org', account.password, from)).toBeNull()
  for (let i = 0; i < 8; i++) expect(await accounts.verifyPassword('ada@example.org', `guess ${i}`, from)).toBeNull()
  expect(waits.length).toBeGreaterThan(0)
  expect(await accounts.verifyPassword('Ada@example.org', account.password, from)).not.toBeNull()
  waits.length = 0
  for (let i = 0; i < 60; i++) await accounts.verifyPassword(`stranger${i}@example.org`, 'x', from)
  expect(await accounts.verifyPassword('ada@example.org', account.password, { address: localhost, device: 'known' })).not.toBeNull()
  expect(await accounts.verifyPassword('ada@example.org', account.password, from)).not.toBeNull()
})

it('a new password ends every session of the person, whichever way it was set', async () => {
  const { platform, boot: first, database } = await open()
  const { userId } = await platform.accounts.createFirstAccount({ ...account, code: first.code ?? '' }, localhost)
  const sessions = await Promise.all([0, 1].map(() => platform.accounts.beginSession(userId, { address: localhost, userAgent: 'a browser' })))
  const actors = () => Promise.all(sessions.map((id) => platform.accounts.actorOfSession(id)))
  expect((await actors()).map((actor) => actor?.id)).toEqual([userId, userId])
  await database.pool.query('UPDATE "User" SET "passwordHash" = $1 WHERE "id" = $2', ['another', userId])
  expect(await actors()).toEqual([null, null])
})

it('a password is stored as argon2id', async () => {
  const { platform, boot: first, database } = await open()
  await platform.accounts.createFirstAccount({ ...account, code: first.code ?? '' }, localhost)
  expect((await database.prisma.user.findFirstOrThrow()).passwordHash).toMatch(/^\$argon2id\$/)
})

it('an API key is shown once, hashed, and void once revoked or expired', async () => {
  const { platform, boot: first, addKey, database } = await open()
  const admin = await platform.accounts.actorOfApiKey(await addKey(first.teamId, 'admin'))
  if (!admin) throw new Error('no actor')
  const created = await platform.apiKeys.create(admin, { name: 'ci', role: 'member', expiresInDays: 30 })
  expect(created.key).toMatch(/^sy_[A-Za-z0-9_-]{43}$/)
  expect(created.key.startsWith(created.prefix)).toBe(true)
  expect(JSON.stringify(await database.prisma.apiKey.findMany())).not.toContain(created.key)
  expect(await platform.accounts.actorOfApiKey(created.key)).toMatchObject({ role: 'member', operator: false })
  const listed = (await platform.apiKeys.list(admin)).find((one) => one.id === created.id)
  expect(listed?.lastUsedAt).not.toBeNull()
  expect(listed).not.toHaveProperty('key')
  await platform.apiKeys.revoke(admin, created.id)
  expect(await platform.accounts.actorOfApiKey(created.key)).toBeNull()
  expect(await platform.accounts.actorOfApiKey(await addKey(first.teamId, 'admin', { expiresAt: new Date(Date.now() - 1) }))).toBeNull()
  const ownerKey = (await platform.apiKeys.list(admin)).find((one) => one.role === 'owner')
  await expect(platform.apiKeys.revoke(admin, ownerKey?.id ?? '')).rejects.toMatchObject({ code: 'ERR_FORBIDDEN' })
})
