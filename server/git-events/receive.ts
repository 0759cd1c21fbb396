import type { Pool } from 'pg'
import { AppError } from '@/shared/errors'
import type { GitDecision, GitProvider } from '@/shared/git-events'
import { newId } from '@/shared/node/ids'
import type { PrismaClient } from '../database/client'
import { jobCatalogue } from '../jobs/catalogue'
import type { Secrets } from '../secrets/secrets'
import { type GitEvent, subjectOf } from './event'
import { eventLabel, readPayload } from './payloads'
import { type Delivery, deliveryIdOf, eventNameOf, missingProof, verifyDelivery } from './verify'

export interface ReceiveDeps {
  prisma: PrismaClient
  pool: Pick<Pool, 'query'>
  secrets: Pick<Secrets, 'open'>
}

/** What the Git host is answered. */
export interface Receipt {
  id: string
  decision: GitDecision
  reason: string
}

/** A hook that may receive, before anything of the body was read. */
export interface OpenHook {
  id: string
  teamId: string
  projectId: string
  /** The secret, and the one before it while it is still accepted. */
  secrets: string[]
}

/** @throws ERR_NOT_FOUND, ERR_UNAUTHENTICATED without a header that could prove the delivery */
export async function openHook(deps: ReceiveDeps, provider: GitProvider, hookId: string, headers: Headers): Promise<OpenHook> {
  // Without a team: the secret is what identifies the sender.
  const hook = hookId.length <= 64 ? await deps.prisma.gitHook.findUnique({ where: { id: hookId } }) : null
  if (!hook)
    throw new AppError('ERR_NOT_FOUND', 'There is no webhook at this address.', {
      nextAction: "Copy the address from the project's settings to the Git host.",
    })
  const missing = missingProof(provider, headers)
  if (missing) throw refused(`The delivery has no ${missing}.`)
  const { id, teamId, projectId, previousSecret, previousUntil } = hook
  const sealed = previousSecret && previousUntil && previousUntil > new Date() ? [hook.secret, previousSecret] : [hook.secret]
  return { id, teamId, projectId, secrets: await Promise.all(sealed.map((secret) => deps.secrets.open(teamId, secret))) }
}

const refused = (why: string): AppError =>
  new AppError('ERR_UNAUTHENTICATED', why, {
    stillServing: 'Nothing of this delivery was recorded.',
    nextAction: "Copy the secret from the project's settings to the webhook at the Git host.",
  })

/**
 * Verifies and records a delivery; what is to be deployed is decided afterwards by a job, which the same statement queues. `count` is called once
 * the delivery is known to be genuine, and throws when there were too many.
 * @throws ERR_UNAUTHENTICATED, ERR_INVALID_INPUT when the body of a genuine delivery is no JSON
 */
export async function receiveDelivery(
  deps: ReceiveDeps,
  hook: OpenHook,
  provider: GitProvider,
  delivery: Delivery,
  count: () => void,
): Promise<Receipt> {
  const verdict = verifyDelivery(provider, delivery, hook.secrets)
  if (!verdict.valid) throw refused(verdict.why)
  count()
  const payload = readBody(delivery)
  const name = eventNameOf(provider, delivery.headers)
  const deliveryId = deliveryIdOf(provider, delivery)
  const event = eventLabel(name, payload)
  const parts = readPayload(provider, name, payload).map((content, part) => ({ part, content, event, deliveryId, provider }))
  const receipts = await storeDeliveries(deps.pool, hook, parts)
  const pending = receipts.find(({ decision }) => decision === 'pending') ?? receipts[0]
  if (!pending) throw new Error('a delivery was not stored')
  return pending
}

/** GitHub and Gitea can send the JSON as a field of a form, too. */
function readBody({ headers, body }: Delivery): unknown {
  const text = body.toString('utf8')
  const isForm = headers.get('content-type')?.startsWith('application/x-www-form-urlencoded')
  try {
    return JSON.parse(isForm ? (new URLSearchParams(text).get('payload') ?? '') : text)
  } catch (cause) {
    throw new AppError('ERR_INVALID_INPUT', 'The body is not valid JSON.', {
      cause,
      nextAction: 'Set the content type of the webhook to application/json.',
    })
  }
}

export interface NewDelivery {
  provider: string
  deliveryId: string
  part: number
  event: string
  content: GitEvent
  replayOf?: string
  approvedBy?: string
}

/** What is known of an event as soon as it arrives. */
function firstVerdict(event: GitEvent): { decision: GitDecision; reason: string } {
  if (event.kind === 'ping') return { decision: 'done', reason: 'this is a test delivery: the webhook works' }
  return event.kind === 'other' ? { decision: 'ignored', reason: event.why } : { decision: 'pending', reason: '' }
}

/** Postgres keeps neither NUL nor half a surrogate pair. */
const keepable = (_: string, value: unknown): unknown => (typeof value === 'string' ? value.toWellFormed().replaceAll('\0', '') : value)

/**
 * Stores deliveries of one hook, and queues the job that decides about them, in one statement: either both are there or neither. A delivery
 * that is there already is counted and keeps its decision. The job is shared: a queued one is locked against being claimed before this commits.
 */
export async function storeDeliveries(
  pool: Pick<Pool, 'query'>,
  hook: { id: string; teamId: string; projectId: string },
  deliveries: readonly NewDelivery[],
): Promise<Receipt[]> {
  const rows = deliveries.map((one) => ({
    ...one,
    id: newId(),
    subject: subjectOf(one.content),
    subjectAt: one.content.kind === 'pull-request' ? one.content.updatedAt : null,
    ...firstVerdict(one.content),
  }))
  const { rows: stored } = await pool.query<Receipt & { fresh: boolean }>(
    `WITH delivery AS (
       INSERT INTO "GitDelivery"("id","teamId","projectId","hookId","provider","deliveryId","part","event","content","subject","subjectAt",
                                 "decision","reason","replayOf","approvedBy","receivedAt","decidedAt")
       SELECT d."id", $1, $2, $3, d."provider", d."deliveryId", d."part", d."event", d."content", d."subject", d."subjectAt"::timestamptz AT TIME ZONE 'utc',
              d."decision"::"GitDecision", d."reason", d."replayOf", d."approvedBy", now() AT TIME ZONE 'utc',
              CASE WHEN d."decision"='pending' THEN NULL ELSE now() AT TIME ZONE 'utc' END
       FROM jsonb_to_recordset($4::jsonb) AS d("id" text, "provider" text, "deliveryId" text, "part" int, "event" text, "content" jsonb, "subject" text,
                                               "subjectAt" text, "decision" text, "reason" text, "replayOf" text, "approvedBy" text)
       ORDER BY d."part"
       ON CONFLICT ("hookId","deliveryId","part") DO UPDATE SET "repeats" = "GitDelivery"."repeats" + 1
       RETURNING "id", "decision", "reason", (xmax = 0) AS "fresh"),
     job AS (
       INSERT INTO "Job"("kind","exclusiveKey","fairKey","payload","maxAttempts","runAt")
       SELECT 'git-events', $5, $1, $6::jsonb, $7, date_trunc('milliseconds', now() AT TIME ZONE 'utc')
       WHERE EXISTS (SELECT 1 FROM delivery WHERE "fresh" AND "decision" = 'pending')
         AND NOT EXISTS (SELECT 1 FROM "Job" WHERE "exclusiveKey" = $5 AND "state" = 'queued' AND "runAt" <= (now() AT TIME ZONE 'utc')
                         FOR SHARE SKIP LOCKED))
     SELECT "id", "decision", "reason", "fresh" FROM delivery`,
    [
      hook.teamId,
      hook.projectId,
      hook.id,
      JSON.stringify(rows, keepable),
      jobKey(hook.projectId),
      JSON.stringify({ projectId: hook.projectId }),
      jobCatalogue['git-events'].maxAttempts,
    ],
  )
  return stored.map(({ id, decision, reason, fresh }) =>
    fresh ? { id, decision, reason } : { id, decision: 'ignored', reason: 'repeated delivery' },
  )
}

/** Events of one project are decided by one job at a time. */
export const jobKey = (projectId: string): string => `git-events:${projectId}`
