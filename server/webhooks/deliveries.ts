import type { Webhook, WebhookDelivery } from '@/server/database/generated/client'
import { AppError } from '@/shared/errors'
import { newId } from '@/shared/node/ids'
import type { DeliveryDetail, DeliveryFilter, DeliveryPage, DeliveryView, WebhookAttempt } from '@/shared/webhooks'
import type { Actor } from '../actor'
import { writeAudit } from '../audit/audit'
import { type Page, pageArguments, pageOf, requireCursor } from '../database/page'
import { type ScopedClient, scopeTo } from '../database/scope'
import { requireProject } from '../projects/read'
import { authorize } from '../teams/policy'
import { attemptDelivery, testKind } from './attempt'
import { leaseSeconds } from './deliverer'
import { requireWebhook, type WebhookDeps } from './read'

const include = { webhook: { select: { host: true } } } as const
type Row = WebhookDelivery & { webhook: Pick<Webhook, 'host'> }

const triesOf = ({ tries }: WebhookDelivery): WebhookAttempt[] => tries as unknown as WebhookAttempt[]

function present(row: Row): DeliveryView {
  const { id, projectId, webhookId, messageId, kind, state, attempts, replayOf } = row
  return {
    id,
    direction: 'out',
    projectId,
    webhookId,
    host: row.webhook.host,
    messageId,
    kind,
    state,
    attempts,
    nextAttemptAt: row.nextAttemptAt?.toISOString() ?? null,
    lastAttempt: triesOf(row).at(-1) ?? null,
    replayOf,
    createdAt: row.createdAt.toISOString(),
    endedAt: row.endedAt?.toISOString() ?? null,
  }
}

const presentDetail = (row: Row): DeliveryDetail => ({ ...present(row), body: row.body, tries: triesOf(row) })

async function requireDelivery(db: ScopedClient, id: string): Promise<Row> {
  const row = await db.webhookDelivery.findFirst({ where: { id }, include })
  if (!row)
    throw new AppError('ERR_NOT_FOUND', 'There is no such delivery in this team.', { nextAction: 'Deliveries are kept for 30 days: list them.' })
  return row
}

export async function listDeliveries({ prisma }: WebhookDeps, actor: Actor, filter: DeliveryFilter, page: Page): Promise<DeliveryPage> {
  authorize(actor, 'webhook-delivery.read')
  const db = scopeTo(prisma, actor)
  await requireCursor(page, (id) => db.webhookDelivery.count({ where: { id } }))
  const { projectId: project, webhookId, state, kind } = filter
  const where = {
    ...(project === undefined ? {} : { projectId: (await requireProject(db, project)).id }),
    ...(webhookId === undefined ? {} : { webhookId: (await requireWebhook(db, webhookId)).id }),
    ...(state === undefined ? {} : { state }),
    ...(kind === undefined ? {} : { kind }),
  }
  const found = await db.webhookDelivery.findMany({ where, include, orderBy: [{ createdAt: 'desc' }, { id: 'desc' }], ...pageArguments(page) })
  const { rows, nextCursor } = pageOf(found, page.limit)
  return { items: rows.map(present), nextCursor }
}

export async function getDelivery({ prisma }: WebhookDeps, actor: Actor, id: string): Promise<DeliveryDetail> {
  authorize(actor, 'webhook-delivery.read')
  return presentDetail(await requireDelivery(scopeTo(prisma, actor), id))
}

/** Sends the same message again, under the same id, as a delivery of its own. @throws ERR_CONFLICT while the webhook is switched off */
export async function replayDelivery({ prisma }: WebhookDeps, actor: Actor, id: string): Promise<DeliveryDetail> {
  authorize(actor, 'webhook-delivery.replay')
  const db = scopeTo(prisma, actor)
  const { projectId, webhookId, messageId, kind, body } = await requireDelivery(db, id)
  if (!(await requireWebhook(db, webhookId)).enabled)
    throw new AppError('ERR_CONFLICT', 'The webhook of this delivery is switched off.', { nextAction: 'Switch it on first.' })
  const copy = newId()
  const data = { id: copy, teamId: actor.teamId, projectId, webhookId, messageId, kind, body, replayOf: id, nextAttemptAt: new Date() }
  await db.$transaction(async (tx) => {
    await tx.webhookDelivery.create({ data })
    await writeAudit(tx, actor, { action: 'webhook.delivery-replayed', subject: copy, detail: { of: id } })
  })
  return presentDetail(await requireDelivery(db, copy))
}

/** Sends a test message at once, also through a webhook that is switched off, and returns the delivery with its one attempt. */
export async function sendTest(deps: WebhookDeps, actor: Actor, webhookId: string): Promise<DeliveryDetail> {
  authorize(actor, 'webhook.test')
  const db = scopeTo(deps.prisma, actor)
  const { projectId } = await requireWebhook(db, webhookId)
  const [id, messageId, now] = [newId(), `${actor.teamId}_test_${newId()}`, new Date()]
  const { teamId } = actor
  const data = { teamId, projectId, sentBy: actor.name }
  const body = JSON.stringify({ id: messageId, type: testKind, timestamp: now.toISOString(), data })
  // Created as a claimed delivery: if this process ends before the outcome is recorded, a deliverer sends it again after the lease.
  const nextAttemptAt = new Date(now.getTime() + leaseSeconds(deps.settings.deadlineSeconds) * 1_000)
  const row = await db.webhookDelivery.create({
    data: { id, teamId, projectId, webhookId, messageId, kind: testKind, body, attempts: 1, nextAttemptAt },
  })
  const { deadlineSeconds } = deps.settings
  await attemptDelivery(
    { prisma: deps.prisma, secrets: deps.secrets, deadlineSeconds },
    row,
    AbortSignal.timeout(2 * deadlineSeconds * 1_000 + 30_000),
  )
  return presentDetail(await requireDelivery(db, id))
}
