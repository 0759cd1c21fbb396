import { pino } from 'pino'
import { Webhook as StandardWebhook } from 'standardwebhooks'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { newId } from '@/shared/node/ids'
import { projectInput } from '@/shared/views'
import { type WebhookInput, webhookInput } from '@/shared/webhooks'
import { createTestApi, type TestApi } from '@/test/support/api'
import type { Answer } from '@/test/support/json-api'
import { until } from '@/test/support/processes'
import { type Received, type Receiver, startReceiver } from '@/test/support/receiver'
import type { Actor } from '../actor'
import { relayBatch } from '../outbox/relay'
import { startOutgoing } from '../outbox/start'
import { writeEvent } from '../outbox/write-event'
import { attemptDelivery } from './attempt'
import { claimDue } from './deliverer'
import { webhookFanOut } from './fan-out'

let api: TestApi
/** May reach private networks, where the receivers of this test are. */
let operator: Actor
let admin: Actor
let projectId: string
const logger = pino({ level: 'silent' })
const edge = { scheme: 'http', port: 8080, baseDomain: 'localhost' } as const
const open: { close(): Promise<unknown> }[] = []

beforeAll(async () => {
  api = await createTestApi()
  operator = await api.actorOf(api.boot.teamId, 'admin', { operator: true })
  admin = await api.actorOf(api.boot.teamId, 'admin')
})
afterAll(() => api.close())
beforeEach(async () => {
  projectId = (await api.platform.projects.create(operator, projectInput.parse({ name: `shop-${newId()}` }))).id
})
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close()
  await api.database.prisma.webhook.deleteMany()
})

const attemptDeps = () => ({ prisma: api.database.prisma, secrets: api.secrets, deadlineSeconds: 5 })

function startSending(): void {
  const { prisma } = api.database
  const webhooks = { concurrency: 8, deadlineSeconds: 5 }
  const { secrets, bus } = api
  const outgoing = startOutgoing({ prisma, secrets, bus, edge, dashboardUrl: 'https://deploy.example.com', webhooks, natsUrl: null, logger })
  open.push({ close: () => outgoing.stop() })
}

async function receiver(answer: (request: Received, count: number) => Answer | Promise<Answer>): Promise<Receiver> {
  const one = await startReceiver(answer)
  open.push(one)
  return one
}

const create = (url: string, kinds: string[] = ['*'], input: Partial<WebhookInput> = {}) =>
  api.platform.webhooks.create(operator, projectId, webhookInput.parse({ url, kinds, ...input }))

/** Writes an event as a use-case does. */
async function happen(hostname: string, actor = operator, project = projectId): Promise<void> {
  const payload = { domainId: newId(), hostname }
  await api.database.prisma.$transaction((tx) => writeEvent(tx, { teamId: actor.teamId, projectId: project, kind: 'domain.verified', payload }))
}

const deliveriesOf = (webhookId: string) =>
  api.database.prisma.webhookDelivery.findMany({ where: { webhookId }, orderBy: [{ createdAt: 'asc' }, { id: 'asc' }] })

/** Makes the next attempt due now. */
const hurry = (webhookId: string) =>
  api.database.pool.query(`UPDATE "WebhookDelivery" SET "nextAttemptAt" = now() AT TIME ZONE 'utc' WHERE "webhookId" = $1 AND "state" = 'pending'`, [
    webhookId,
  ])

/** One attempt of every delivery that is due, in this process, without the loops. */
async function attemptDue(): Promise<number> {
  await relayBatch({ prisma: api.database.prisma, edge, subscribers: [webhookFanOut] })
  const claimed = await claimDue(api.database.prisma, { limit: 50, full: [], leaseSeconds: 60 })
  for (const delivery of claimed) await attemptDelivery(attemptDeps(), delivery, new AbortController().signal)
  return claimed.length
}

test('an event reaches each webhook that asks for it, signed by Standard Webhooks, and no other', async () => {
  const { url, received } = await receiver(() => ({ status: 204 }))
  const wanted = await create(`${url}/own`, ['domain.*'])
  await create(`${url}/other-kind`, ['deployment.ready'])
  await create(`${url}/off`, ['*'], { enabled: false })
  await api.platform.webhooks.create(operator, null, webhookInput.parse({ url: `${url}/team`, kinds: ['domain.verified'] }))
  const elsewhere = await api.platform.projects.create(operator, projectInput.parse({ name: `blog-${newId()}` }))
  await api.platform.webhooks.create(operator, elsewhere.id, webhookInput.parse({ url: `${url}/other-project`, kinds: ['*'] }))
  startSending()
  await happen('shop.example')
  await until('two have come', 20_000, () => received.length >= 2)
  expect(received.map(({ path }) => path).sort()).toEqual(['/own', '/team'])
  const own = received.find(({ path }) => path === '/own')
  const { secret } = await api.platform.webhooks.secret(operator, wanted.id)
  const message = new StandardWebhook(secret).verify(own?.body ?? '', own?.headers as Record<string, string>)
  expect(message).toMatchObject({
    id: own?.headers['webhook-id'],
    type: 'domain.verified',
    data: { hostname: 'shop.example', teamId: operator.teamId, projectId, project: { id: projectId } },
  })
  await until('it is recorded', 20_000, async () => (await deliveriesOf(wanted.id))[0]?.state === 'delivered')
  const page = await api.platform.webhooks.deliveries(operator, { webhookId: wanted.id }, { limit: 10 })
  expect(page.items).toMatchObject([{ state: 'delivered', attempts: 1, lastAttempt: { status: 204, error: null }, kind: 'domain.verified' }])
})

test('after a rotation both secrets are accepted until the overlap ends, then the new one alone', async () => {
  const { url, received } = await receiver(() => ({ status: 200 }))
  const { id } = await create(url)
  const before = await api.platform.webhooks.secret(operator, id)
  const after = await api.platform.webhooks.rotate(operator, id, { overlapHours: 1 })
  expect(after.secret).not.toBe(before.secret)
  const verify = (secret: string, { body, headers }: Received) => new StandardWebhook(secret).verify(body, headers as Record<string, string>)
  await api.platform.webhooks.test(operator, id)
  for (const { secret } of [before, after]) expect(verify(secret, received[0] as Received)).toMatchObject({ type: 'webhook.test' })
  const last = await api.platform.webhooks.rotate(operator, id, { overlapHours: 0 })
  await api.platform.webhooks.test(operator, id)
  expect(verify(last.secret, received[1] as Received)).toMatchObject({ type: 'webhook.test' })
  expect(() => verify(after.secret, received[1] as Received)).toThrow()
})

test('two readers at once record each event once and in order, also one whose transaction commits late', async () => {
  const { prisma } = api.database
  const { id } = await create('https://1.1.1.1/never-called')
  let commit = () => {}
  const held = new Promise<void>((resolve) => {
    commit = resolve
  })
  const late = prisma.$transaction(async (tx) => {
    const payload = { domainId: newId(), hostname: 'late.example' }
    await writeEvent(tx, { teamId: operator.teamId, projectId, kind: 'domain.added', payload })
    await held
  })
  await until('its row is written', 5_000, async () => {
    const { rows } = await api.database.pool.query(
      `SELECT 1 FROM pg_stat_activity WHERE "state" = 'idle in transaction' AND "datname" = current_database()`,
    )
    return rows.length > 0
  })
  for (let i = 0; i < 30; i++) await happen(`${i}.example`)
  const read = () => relayBatch({ prisma, edge, subscribers: [webhookFanOut] })
  await Promise.all([read(), read(), read()])
  commit()
  await late
  await Promise.all([read(), read()])
  await read()
  const found = (await deliveriesOf(id)).map(({ messageId, body }) => ({
    number: Number(messageId.split('_')[1]),
    hostname: (JSON.parse(body) as { data: { hostname: string } }).data.hostname,
  }))
  expect(found).toHaveLength(31)
  const inOrder = found.filter(({ hostname }) => hostname !== 'late.example').sort((a, b) => a.number - b.number)
  expect(inOrder.map(({ hostname }) => hostname)).toEqual(Array.from({ length: 30 }, (_, i) => `${i}.example`))
})

test('a transaction that is rolled back sends nothing', async () => {
  const { id } = await create('https://1.1.1.1/never-called')
  const failed = api.database.prisma.$transaction(async (tx) => {
    await writeEvent(tx, { teamId: operator.teamId, projectId, kind: 'domain.added', payload: { domainId: 'x', hostname: 'x.example' } })
    throw new Error('rolled back')
  })
  await expect(failed).rejects.toThrow('rolled back')
  await relayBatch({ prisma: api.database.prisma, edge, subscribers: [webhookFanOut] })
  expect(await deliveriesOf(id)).toEqual([])
})

test('a process that dies while it sends loses nothing: the next one sends the same message, and the dead one writes nothing late', async () => {
  let release = (_: Answer) => {}
  const { url, received } = await receiver((_, count) =>
    count === 1
      ? new Promise<Answer>((resolve) => {
          release = resolve
        })
      : { status: 200 },
  )
  const { id } = await create(url)
  await happen('crash.example')
  await relayBatch({ prisma: api.database.prisma, edge, subscribers: [webhookFanOut] })
  const [claimed] = await claimDue(api.database.prisma, { limit: 1, full: [], leaseSeconds: 60 })
  if (!claimed) throw new Error('nothing is due')
  const dying = attemptDelivery(attemptDeps(), claimed, new AbortController().signal)
  await until('the first request has come', 20_000, () => received.length === 1)
  expect(await attemptDue()).toBe(0)
  await hurry(id)
  expect(await attemptDue()).toBe(1)
  release({ status: 500 })
  await dying
  expect(await deliveriesOf(id)).toMatchObject([{ state: 'delivered', attempts: 2, tries: [{ status: 200 }] }])
  expect(received.map(({ headers }) => headers['webhook-id'])).toEqual([received[0]?.headers['webhook-id'], received[0]?.headers['webhook-id']])
})

test('a webhook that fails for three days is switched off with its reason, its other deliveries end, and switching it on heals it', async () => {
  const { url } = await receiver(() => ({ status: 503, body: 'down for maintenance' }))
  const { id } = await create(url)
  await happen('first.example')
  let attempts = 0
  while (attempts < 20 && (await attemptDue()) > 0) {
    attempts++
    await hurry(id)
    if (attempts === 5)
      expect(await api.platform.webhooks.list(operator, projectId)).toMatchObject([{ enabled: true, failingSince: expect.any(String) }])
  }
  expect(attempts).toBe(11)
  const [view] = await api.platform.webhooks.list(operator, projectId)
  expect(view).toMatchObject({
    enabled: false,
    disabledReason: expect.stringMatching(/^Every delivery has failed since .+; the last time it answered 503\.$/),
  })
  const [delivery] = await deliveriesOf(id)
  expect(delivery).toMatchObject({ state: 'failed', attempts: 11 })
  await expect(api.platform.webhooks.replay(operator, delivery?.id ?? '')).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
  await happen('meanwhile.example')
  await attemptDue()
  expect(await deliveriesOf(id)).toHaveLength(1)
  const on = await api.platform.webhooks.update(operator, id, webhookInput.parse({ url, kinds: ['*'] }))
  expect(on).toMatchObject({ enabled: true, disabledReason: null, failingSince: null })
})

test('one success between failures keeps a webhook on, and 410 switches it off at once', async () => {
  let status = 500
  const { url } = await receiver(() => ({ status }))
  const { id } = await create(url)
  await happen('a.example')
  for (let i = 0; i < 10; i++) {
    await attemptDue()
    await hurry(id)
  }
  status = 200
  await happen('b.example')
  await relayBatch({ prisma: api.database.prisma, edge, subscribers: [webhookFanOut] })
  const other = (await deliveriesOf(id)).find(({ attempts }) => attempts === 0)
  const signal = new AbortController().signal
  await api.database.prisma.webhookDelivery.update({ where: { id: other?.id ?? '' }, data: { attempts: 1 } })
  if (other) await attemptDelivery(attemptDeps(), { ...other, attempts: 1 }, signal)
  status = 500
  await attemptDue()
  expect((await deliveriesOf(id)).map(({ state }) => state).sort()).toEqual(['delivered', 'failed'])
  expect((await api.platform.webhooks.list(operator, projectId))[0]?.enabled).toBe(true)
  status = 410
  await happen('c.example')
  await attemptDue()
  expect(await api.platform.webhooks.list(operator, projectId)).toMatchObject([{ enabled: false, disabledReason: expect.stringContaining('410') }])
})

test('an address is judged when it is saved and before each request: no private network without an operator, no metadata, no redirect', async () => {
  const save = (actor: Actor, url: string) => api.platform.webhooks.create(actor, projectId, webhookInput.parse({ url, kinds: ['*'] }))
  for (const url of [
    'https://127.0.0.1/x',
    'https://10.0.0.8/x',
    'https://[::1]/x',
    'https://localhost/x',
    'http://1.1.1.1/x',
    'https://169.254.169.254/x',
  ])
    await expect(save(admin, url), url).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
  for (const url of ['https://169.254.169.254/x', 'https://user:pass@1.1.1.1/x'])
    await expect(save(operator, url), url).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
  const { url, received } = await receiver(() => ({ status: 302, headers: { location: '/elsewhere' } }))
  const mine = await create(url)
  // As if the name had led to a public address when it was saved.
  await api.database.prisma.webhook.update({ where: { id: mine.id }, data: { allowPrivateNetwork: false } })
  expect(await api.platform.webhooks.test(operator, mine.id)).toMatchObject({
    state: 'failed',
    lastAttempt: { status: null, error: expect.stringContaining('private network') },
  })
  expect(received).toEqual([])
  await api.database.prisma.webhook.update({ where: { id: mine.id }, data: { allowPrivateNetwork: true } })
  expect(await api.platform.webhooks.test(operator, mine.id)).toMatchObject({
    lastAttempt: { status: 302, error: expect.stringContaining('redirects are not followed') },
  })
  expect(received.map(({ path }) => path)).toEqual(['/'])
})

test('answers of private networks are not shown; a replay sends the same message again under the same id', async () => {
  const { url, received } = await receiver(() => ({ status: 200, body: 'internal details' }))
  const { id } = await create(url)
  await happen('replayed.example')
  await attemptDue()
  const [first] = await deliveriesOf(id)
  expect(first).toMatchObject({ state: 'delivered', tries: [{ status: 200, response: null }] })
  const copy = await api.platform.webhooks.replay(operator, first?.id ?? '')
  expect(copy).toMatchObject({ state: 'pending', replayOf: first?.id, messageId: first?.messageId })
  await attemptDue()
  expect(received.map(({ body, headers }) => [headers['webhook-id'], body])).toEqual([
    [first?.messageId, first?.body],
    [first?.messageId, first?.body],
  ])
  const { items } = await api.platform.webhooks.deliveries(operator, { webhookId: id, state: 'delivered' }, { limit: 1 })
  expect(items).toMatchObject([{ id: copy.id }])
})
