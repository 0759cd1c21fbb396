import type { z } from 'zod'
import type { Prisma, Webhook } from '@/server/database/generated/client'
import { AppError } from '@/shared/errors'
import { newId } from '@/shared/node/ids'
import type { DeliveryDetail, DeliveryFilter, DeliveryPage, rotateInput, WebhookInput, WebhookView, webhookSecret } from '@/shared/webhooks'
import type { Actor } from '../actor'
import { writeAudit } from '../audit/audit'
import type { Page } from '../database/page'
import { scopeTo } from '../database/scope'
import { OutboundError, pinHost } from '../outbound/pinned-request'
import { requireProject } from '../projects/read'
import { authorize } from '../teams/policy'
import { openTarget } from './attempt'
import { getDelivery, listDeliveries, replayDelivery, sendTest } from './deliveries'
import { requireWebhook, type WebhookDeps } from './read'
import { newSecret, type WebhookTarget } from './signature'

const maxWebhooks = 100
const hourMs = 3_600_000
/** A person waits for the answer. */
const lookupDeadlineMs = 5_000

export interface Webhooks {
  /** Of a project with those of the whole team, or of the team alone. */
  list(actor: Actor, project: string | null): Promise<WebhookView[]>
  create(actor: Actor, project: string | null, input: WebhookInput): Promise<WebhookView>
  update(actor: Actor, id: string, input: WebhookInput): Promise<WebhookView>
  remove(actor: Actor, id: string): Promise<void>
  secret(actor: Actor, id: string): Promise<z.infer<typeof webhookSecret>>
  /** A new secret; the previous one signs as well for `overlapHours`. */
  rotate(actor: Actor, id: string, input: z.output<typeof rotateInput>): Promise<z.infer<typeof webhookSecret>>
  /** Sends a test message now and returns what came of it. */
  test(actor: Actor, id: string): Promise<DeliveryDetail>
  deliveries(actor: Actor, filter: DeliveryFilter, page: Page): Promise<DeliveryPage>
  delivery(actor: Actor, id: string): Promise<DeliveryDetail>
  replay(actor: Actor, id: string): Promise<DeliveryDetail>
}

/** Use-cases about outgoing webhooks. Addresses and secrets are stored encrypted. */
export function createWebhooks(deps: WebhookDeps): Webhooks {
  return {
    list: (actor, project) => listWebhooks(deps, actor, project),
    create: (actor, project, input) => createWebhook(deps, actor, project, input),
    update: (actor, id, input) => updateWebhook(deps, actor, id, input),
    remove: (actor, id) => removeWebhook(deps, actor, id),
    async secret(actor, id) {
      authorize(actor, 'webhook-secret.read')
      const target = await openTarget(deps.secrets, await requireWebhook(scopeTo(deps.prisma, actor), id))
      return { secret: target.secret, previousSecretUntil: currentPrevious(target)?.until ?? null }
    },
    rotate: (actor, id, input) => rotateSecret(deps, actor, id, input),
    test: (actor, id) => sendTest(deps, actor, id),
    deliveries: (actor, filter, page) => listDeliveries(deps, actor, filter, page),
    delivery: (actor, id) => getDelivery(deps, actor, id),
    replay: (actor, id) => replayDelivery(deps, actor, id),
  }
}

const currentPrevious = ({ previous }: WebhookTarget) => (previous && new Date(previous.until) > new Date() ? previous : null)

async function present({ secrets }: WebhookDeps, row: Webhook): Promise<WebhookView> {
  const target = await openTarget(secrets, row)
  const { id, projectId, kinds, enabled, disabledReason } = row
  return {
    id,
    projectId,
    url: target.url,
    kinds,
    enabled,
    disabledReason,
    failingSince: row.failingSince?.toISOString() ?? null,
    previousSecretUntil: currentPrevious(target)?.until ?? null,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  }
}

async function listWebhooks(deps: WebhookDeps, actor: Actor, project: string | null): Promise<WebhookView[]> {
  authorize(actor, 'webhook.read')
  const db = scopeTo(deps.prisma, actor)
  const where = project === null ? { projectId: null } : { OR: [{ projectId: null }, { projectId: (await requireProject(db, project)).id }] }
  const rows = await db.webhook.findMany({ where, orderBy: [{ createdAt: 'asc' }, { id: 'asc' }] })
  return Promise.all(rows.map((row) => present(deps, row)))
}

/**
 * Checks an address as far as possible before anything is sent to it. A host that cannot be looked up now is accepted, because name servers
 * fail; every delivery looks again and refuses.
 * @throws ERR_INVALID_INPUT
 */
async function checkUrl(text: string, actor: Actor): Promise<URL> {
  const url = new URL(text)
  const refuse = (why: string) =>
    new AppError('ERR_INVALID_INPUT', `This address is not usable: ${why}.`, { nextAction: 'Use a public https address.' })
  if (url.protocol === 'http:' && !actor.operator) throw refuse('it is not encrypted')
  if (url.username || url.password) throw refuse('it holds a user name or password; put a token into its path or query instead')
  await pinHost(url.hostname, actor.operator, lookupDeadlineMs).catch((error: unknown) => {
    if (error instanceof OutboundError && error.isForbidden) throw refuse(error.message)
  })
  return url
}

async function createWebhook(deps: WebhookDeps, actor: Actor, project: string | null, input: WebhookInput): Promise<WebhookView> {
  authorize(actor, 'webhook.write')
  const db = scopeTo(deps.prisma, actor)
  const projectId = project === null ? null : (await requireProject(db, project)).id
  const { host } = await checkUrl(input.url, actor)
  const target = await seal(deps, actor, { url: input.url, secret: newSecret(), previous: null })
  const id = newId()
  const { kinds, enabled } = input
  await db.$transaction(async (tx) => {
    // Any write to the team's row locks it until the transaction ends: two concurrent additions could otherwise both take the last place.
    await tx.team.update({ where: { id: actor.teamId }, data: { id: actor.teamId }, select: { id: true } })
    if ((await tx.webhook.count()) >= maxWebhooks)
      throw new AppError('ERR_INVALID_INPUT', `A team has at most ${maxWebhooks} webhooks.`, { nextAction: 'Remove one that is not needed.' })
    const { operator: allowPrivateNetwork, name: createdBy } = actor
    await tx.webhook.create({ data: { id, teamId: actor.teamId, projectId, host, target, kinds, enabled, allowPrivateNetwork, createdBy } })
    await writeAudit(tx, actor, { action: 'webhook.created', subject: id, detail: { host, kinds } })
  })
  return present(deps, await requireWebhook(db, id))
}

const seal = ({ secrets }: WebhookDeps, { teamId }: Actor, target: WebhookTarget) => secrets.seal(teamId, JSON.stringify(target))

async function updateWebhook(deps: WebhookDeps, actor: Actor, id: string, input: WebhookInput): Promise<WebhookView> {
  authorize(actor, 'webhook.write')
  const db = scopeTo(deps.prisma, actor)
  const row = await requireWebhook(db, id)
  const target = await openTarget(deps.secrets, row)
  const moved = input.url !== target.url
  const place = moved
    ? {
        host: (await checkUrl(input.url, actor)).host,
        target: await seal(deps, actor, { ...target, url: input.url }),
        // Only the person who sets an address can grant it private networks.
        allowPrivateNetwork: actor.operator,
      }
    : {}
  const { kinds, enabled } = input
  const health = moved || (enabled && !row.enabled) ? { disabledReason: null, failingSince: null } : {}
  await db.$transaction(async (tx) => {
    await tx.webhook.updateMany({ where: { id }, data: { ...place, ...health, kinds, enabled } })
    await writeAudit(tx, actor, { action: 'webhook.updated', subject: id, detail: { host: place.host ?? row.host, kinds, enabled, moved } })
  })
  return present(deps, await requireWebhook(db, id))
}

async function removeWebhook({ prisma }: WebhookDeps, actor: Actor, id: string): Promise<void> {
  authorize(actor, 'webhook.write')
  const db = scopeTo(prisma, actor)
  const row = await requireWebhook(db, id)
  await db.$transaction(async (tx) => {
    await tx.webhook.deleteMany({ where: { id } })
    await writeAudit(tx, actor, { action: 'webhook.removed', subject: id, detail: { host: row.host } })
  })
}

async function rotateSecret(deps: WebhookDeps, actor: Actor, id: string, { overlapHours }: z.output<typeof rotateInput>) {
  authorize(actor, 'webhook.write')
  const db = scopeTo(deps.prisma, actor)
  const row = await requireWebhook(db, id)
  const target = await openTarget(deps.secrets, row)
  const secret = newSecret()
  const until = new Date(Date.now() + overlapHours * hourMs).toISOString()
  const next: WebhookTarget = { ...target, secret, previous: overlapHours > 0 ? { secret: target.secret, until } : null }
  const sealed = await seal(deps, actor, next)
  await db.$transaction(async (tx) => {
    // Only on the row that was read: of two rotations at once the later one must not lose the secret that the first has shown.
    const { count } = await tx.webhook.updateMany({ where: { id, target: { equals: row.target } }, data: { target: sealed } })
    if (count === 0) throw new AppError('ERR_CONFLICT', 'The webhook was changed at this moment.', { nextAction: 'Try again.' })
    const detail: Prisma.InputJsonObject = { host: row.host, overlapHours }
    await writeAudit(tx, actor, { action: 'webhook.secret-rotated', subject: id, detail })
  })
  return { secret, previousSecretUntil: next.previous?.until ?? null }
}
