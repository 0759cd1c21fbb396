import type { Prisma, PrismaClient, Webhook, WebhookDelivery } from '@/server/database/generated/client'
import { createMask } from '@/shared/node/mask'
import type { WebhookAttempt } from '@/shared/webhooks'
import { OutboundError, pinnedRequest } from '../outbound/pinned-request'
import type { Secrets } from '../secrets/secrets'
import { pauseAfter, retryAfterMs } from './schedule'
import { signedHeaders, type WebhookTarget } from './signature'

export interface AttemptDeps {
  prisma: PrismaClient
  secrets: Pick<Secrets, 'open'>
  /** Seconds that a receiver has to answer. */
  deadlineSeconds: number
}

/** Kind of the message of the test button. It is sent once and says nothing about the health of the webhook. */
export const testKind = 'webhook.test'

/** More of an answer is neither read nor stored. */
const maxExcerptBytes = 1_024

interface Outcome {
  attempt: WebhookAttempt
  isDelivered: boolean
  /** The receiver says that it is gone for good (Standard Webhooks: 410). */
  isGone: boolean
  retryAfterMs: number | null
}

/** Reads the sealed address and secrets of a webhook. */
export async function openTarget(secrets: Pick<Secrets, 'open'>, row: Pick<Webhook, 'teamId' | 'target'>): Promise<WebhookTarget> {
  return JSON.parse(await secrets.open(row.teamId, row.target)) as WebhookTarget
}

/**
 * Sends a claimed delivery once and records the outcome, unless another process has claimed the delivery meanwhile. Aborted by `signal`, it
 * records nothing: the delivery is claimed again later, which makes it "at least once".
 */
export async function attemptDelivery(deps: AttemptDeps, delivery: WebhookDelivery, signal: AbortSignal): Promise<void> {
  const webhook = await deps.prisma.webhook.findUnique({ where: { id: delivery.webhookId } })
  // Deleted with its deliveries.
  if (!webhook) return
  if (!webhook.enabled && delivery.kind !== testKind) return cancel(deps.prisma, delivery)
  const outcome = await send(deps, webhook, delivery, signal)
  signal.throwIfAborted()
  await record(deps.prisma, webhook, delivery, outcome)
}

async function send(deps: AttemptDeps, webhook: Webhook, delivery: WebhookDelivery, signal: AbortSignal): Promise<Outcome> {
  const at = new Date()
  const started = performance.now()
  const finish = (rest: Pick<WebhookAttempt, 'status' | 'response' | 'error'>, more: Partial<Outcome> = {}): Outcome => ({
    attempt: { at: at.toISOString(), durationMs: Math.round(performance.now() - started), ...rest },
    isDelivered: rest.error === null,
    isGone: false,
    retryAfterMs: null,
    ...more,
  })
  try {
    const target = await openTarget(deps.secrets, webhook)
    const answer = await pinnedRequest({
      url: new URL(target.url),
      method: 'POST',
      headers: signedHeaders(target, { id: delivery.messageId, body: delivery.body }, at),
      body: delivery.body,
      allowPrivateNetwork: webhook.allowPrivateNetwork,
      maxAnswerBytes: maxExcerptBytes,
      deadlineMs: deps.deadlineSeconds * 1_000,
      signal,
    })
    const { status } = answer
    const isDelivered = status >= 200 && status < 300
    // Answers of a private network are for its operator, not for every member of the team.
    const response = answer.isPrivate || answer.text === '' ? null : excerpt(answer.text, target)
    const error = isDelivered ? null : status >= 300 && status < 400 ? `it answered ${status}; redirects are not followed` : `it answered ${status}`
    return finish({ status, response, error }, { isGone: status === 410, retryAfterMs: retryAfterMs(answer.headers['retry-after'], at.getTime()) })
  } catch (error) {
    signal.throwIfAborted()
    // The message of an unexpected error is not for people: it may hold the address.
    return finish({ status: null, response: null, error: error instanceof OutboundError ? error.message : 'an error inside Switchyard' })
  }
}

/** The beginning of an answer without the secrets that it may repeat, and without NUL, which no database text holds. */
function excerpt(text: string, target: WebhookTarget): string {
  const { username, password, search, pathname } = new URL(target.url)
  const mask = createMask({
    SECRET: target.secret,
    PREVIOUS_SECRET: target.previous?.secret ?? '',
    USER: username,
    PASSWORD: password,
    QUERY: search,
    PATH: pathname,
  })
  return mask(text).replaceAll('\0', '')
}

const isOurs = ({ id, attempts }: WebhookDelivery) => ({ id, attempts, state: 'pending' as const })

async function cancel(prisma: PrismaClient, delivery: WebhookDelivery): Promise<void> {
  await prisma.webhookDelivery.updateMany({ where: isOurs(delivery), data: { state: 'canceled', nextAttemptAt: null, endedAt: new Date() } })
}

async function record(prisma: PrismaClient, webhook: Webhook, delivery: WebhookDelivery, outcome: Outcome): Promise<void> {
  const isTest = delivery.kind === testKind
  const pause = outcome.isDelivered || outcome.isGone || isTest ? null : pauseAfter(delivery.attempts, outcome)
  const tries = [...(delivery.tries as unknown as WebhookAttempt[]), outcome.attempt] as unknown as Prisma.InputJsonArray
  const now = new Date()
  const ended = { state: outcome.isDelivered ? ('delivered' as const) : ('failed' as const), nextAttemptAt: null, endedAt: now }
  const next = pause === null ? ended : { nextAttemptAt: new Date(now.getTime() + pause) }
  await prisma.$transaction(async (tx) => {
    const { count } = await tx.webhookDelivery.updateMany({ where: isOurs(delivery), data: { tries, ...next } })
    if (count === 0 || isTest) return
    if (outcome.isDelivered) {
      if (webhook.failingSince) await tx.webhook.updateMany({ where: { id: webhook.id }, data: { failingSince: null } })
      return
    }
    await tx.webhook.updateMany({ where: { id: webhook.id, failingSince: null }, data: { failingSince: new Date(outcome.attempt.at) } })
    if (pause === null) await switchOff(tx, { ...delivery, tries }, outcome)
  })
}

/** Switches a webhook off that is gone, or that has accepted nothing during all attempts of a delivery. */
async function switchOff(
  tx: Prisma.TransactionClient,
  delivery: Pick<WebhookDelivery, 'webhookId'> & { tries: Prisma.InputJsonArray },
  { isGone, attempt }: Outcome,
): Promise<void> {
  const first = (delivery.tries as unknown as WebhookAttempt[])[0]?.at ?? attempt.at
  const disabledReason = isGone
    ? 'Its receiver answered 410: it is gone for good.'
    : `Every delivery has failed since ${first.slice(0, 16).replace('T', ' ')} UTC; the last time ${attempt.error}.`
  const where = { id: delivery.webhookId, enabled: true, ...(isGone ? {} : { failingSince: { lte: new Date(first) } }) }
  const { count } = await tx.webhook.updateMany({ where, data: { enabled: false, disabledReason } })
  if (count === 0) return
  const left = { webhookId: delivery.webhookId, state: 'pending' as const }
  await tx.webhookDelivery.updateMany({ where: left, data: { state: 'canceled', nextAttemptAt: null, endedAt: new Date() } })
}
