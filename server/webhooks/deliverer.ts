import type { Logger } from 'pino'
import type { PrismaClient, WebhookDelivery } from '@/server/database/generated/client'
import type { ChangeBus } from '../events/bus'
import { type DueLoop, startDueLoop } from '../outbox/due-loop'
import { type AttemptDeps, attemptDelivery } from './attempt'

/** Limits of outgoing webhooks. */
export interface WebhookSettings {
  /** Deliveries that are sent at once. */
  concurrency: number
  /** Seconds that a receiver has to answer. */
  deadlineSeconds: number
}

/** Deliveries to one webhook at once: a slow receiver leaves places to others. */
const perWebhook = 4
/** Longer than an attempt with its name look-up: afterwards another process may take the delivery over. */
export const leaseSeconds = (deadlineSeconds: number): number => deadlineSeconds + 45

/** Sends deliveries that are due, each at least once, with the pauses of `schedule.ts` between attempts. Several processes may run this. */
export function startDeliverer(deps: AttemptDeps & { concurrency: number; bus: ChangeBus; logger: Logger }): DueLoop {
  const { prisma, concurrency, bus, logger } = deps
  const running = new Map<Promise<void>, string>()
  const saturated = () => {
    const counts = Map.groupBy(running.values(), (webhookId) => webhookId)
    return [...counts].filter(([, deliveries]) => deliveries.length >= perWebhook).map(([webhookId]) => webhookId)
  }
  const start = (delivery: WebhookDelivery, signal: AbortSignal) => {
    const work = attemptDelivery(deps, delivery, signal)
      .catch((error) => {
        // The claim runs out and the delivery is attempted again.
        if (!signal.aborted) logger.warn({ err: error, delivery: delivery.id }, 'the outcome of a delivery was not recorded')
      })
      .finally(() => {
        running.delete(work)
        loop.wake()
      })
    running.set(work, delivery.webhookId)
  }
  const loop = startDueLoop({
    what: 'webhooks',
    isOfInterest: ({ kind }) => kind === 'delivery',
    bus,
    logger,
    async round(signal) {
      const free = concurrency - running.size
      if (free <= 0) return Number.POSITIVE_INFINITY
      const full = saturated()
      const claimed = await claimDue(prisma, { limit: free, full, leaseSeconds: leaseSeconds(deps.deadlineSeconds) })
      for (const delivery of claimed) start(delivery, signal)
      return claimed.length > 0 ? 0 : dueInMs(prisma, full)
    },
  })
  return {
    wake: loop.wake,
    async stop() {
      await loop.stop()
      await Promise.allSettled(running.keys())
    },
  }
}

/** Claims deliveries that are due, in turns by webhook. The count of attempts is the fencing token of the claim. */
export async function claimDue(
  prisma: PrismaClient,
  { limit, full, leaseSeconds }: { limit: number; full: string[]; leaseSeconds: number },
): Promise<WebhookDelivery[]> {
  return prisma.$queryRaw<WebhookDelivery[]>`
    WITH due AS (
      SELECT "id", row_number() OVER (PARTITION BY "webhookId" ORDER BY "nextAttemptAt", "id") AS place
      FROM "WebhookDelivery"
      WHERE "state" = 'pending' AND "nextAttemptAt" <= (now() AT TIME ZONE 'utc') AND "webhookId" <> ALL (${full}::text[])
    )
    UPDATE "WebhookDelivery"
    SET "attempts" = "attempts" + 1, "nextAttemptAt" = (now() AT TIME ZONE 'utc') + ${leaseSeconds} * interval '1 second'
    WHERE "id" IN (
      SELECT d."id" FROM "WebhookDelivery" d JOIN due USING ("id")
      WHERE due.place <= ${perWebhook} AND d."state" = 'pending' AND d."nextAttemptAt" <= (now() AT TIME ZONE 'utc')
      ORDER BY due.place, d."nextAttemptAt" LIMIT ${limit} FOR UPDATE OF d SKIP LOCKED)
    RETURNING *`
}

/** Milliseconds until the next delivery is due, without those that wait for a place at their webhook. */
async function dueInMs(prisma: PrismaClient, full: string[]): Promise<number> {
  const next = await prisma.webhookDelivery.findFirst({
    where: { state: 'pending', webhookId: { notIn: full } },
    orderBy: { nextAttemptAt: 'asc' },
    select: { nextAttemptAt: true },
  })
  return next?.nextAttemptAt ? Math.max(0, next.nextAttemptAt.getTime() - Date.now()) : Number.POSITIVE_INFINITY
}
