import type { Logger } from 'pino'
import type { PrismaClient } from '@/server/database/generated/client'
import type { ChangeBus } from '../events/bus'
import type { DomainChecks } from './checks'

export interface RoundDeps {
  prisma: PrismaClient
  bus: Pick<ChangeBus, 'listen'>
  checks: Pick<DomainChecks, 'check'>
  logger: Pick<Logger, 'warn'>
}

const atOnce = 4
/** Lease of a check: after this time another machine may take over. */
const leaseMs = 60_000
/** Longest sleep: the database's clock decides which checks are due, so a wake-up may be early or late. */
const longestSleepMs = 60_000
const shortestSleepMs = 200

/** Examines domains that are due. Several machines may run this: each claims its own domains. */
export function startDomainRounds(deps: RoundDeps): { stop(): Promise<void> } {
  const { prisma, bus, checks, logger } = deps
  const stopping = new AbortController()
  let wake = () => {}
  const round = async (): Promise<number> => {
    const due = await claimDue(prisma)
    await Promise.all(
      due.map((id) =>
        checks.check(id).catch((error) => logger.warn({ err: error, domainId: id }, 'a domain could not be examined; it is tried again')),
      ),
    )
    return due.length === atOnce ? 0 : sleepMs(prisma)
  }
  const work = (async () => {
    while (!stopping.signal.aborted) {
      const pause = await round().catch((error) => {
        logger.warn({ err: error }, 'domains could not be examined; tried again')
        return 5_000
      })
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.max(shortestSleepMs, pause))
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
        if (stopping.signal.aborted) wake()
      })
    }
  })()
  const listening = (async () => {
    for await (const _ of bus.listen((change) => change.kind === 'domain', stopping.signal)) wake()
  })()
  return {
    async stop() {
      stopping.abort()
      wake()
      await Promise.all([work, listening])
    },
  }
}

/** Claims due domains round robin by team: a team with a thousand slow domains delays only itself. */
async function claimDue(prisma: PrismaClient): Promise<string[]> {
  const rows = await prisma.$queryRaw<{ id: string }[]>`
    WITH due AS (
      SELECT "id", "nextCheckAt", row_number() OVER (PARTITION BY "teamId" ORDER BY "nextCheckAt") AS place
      FROM "Domain" WHERE "nextCheckAt" <= (now() AT TIME ZONE 'utc')
    )
    UPDATE "Domain" SET "nextCheckAt" = (now() AT TIME ZONE 'utc') + ${leaseMs} * interval '1 millisecond'
    WHERE "id" IN (
      SELECT d."id" FROM "Domain" d JOIN due USING ("id") WHERE d."nextCheckAt" <= (now() AT TIME ZONE 'utc')
      ORDER BY due.place, due."nextCheckAt" LIMIT ${atOnce} FOR UPDATE OF d SKIP LOCKED)
    RETURNING "id"`
  return rows.map((row) => row.id)
}

async function sleepMs(prisma: PrismaClient): Promise<number> {
  const next = await prisma.domain.findFirst({
    where: { nextCheckAt: { not: null } },
    orderBy: { nextCheckAt: 'asc' },
    select: { nextCheckAt: true },
  })
  return next?.nextCheckAt ? Math.min(longestSleepMs, next.nextCheckAt.getTime() - Date.now()) : longestSleepMs
}
