import type { Logger } from 'pino'
import { type ForgeConnection, type ForgeReport, Prisma, type PrismaClient } from '@/server/database/generated/client'
import type { ForgeProblem, ForgeProvider } from '@/shared/forges'
import type { ChangeBus } from '../events/bus'
import { type DueLoop, startDueLoop } from '../outbox/due-loop'
import type { Secrets } from '../secrets/secrets'
import { createForgeClient } from './client'
import { ForgeError } from './forge'
import { forges } from './providers'
import { commentText, markerOf, type ReportPlaces, reportInclude, reportOf } from './report'

export interface ReporterDeps extends ReportPlaces {
  prisma: PrismaClient
  secrets: Pick<Secrets, 'open'>
  logger: Logger
}

const concurrency = 8
/** A report ends before its claim does: afterwards another process may take it over. */
const reportDeadlineMs = 110_000
const leaseSeconds = 120
/** Advisory lock: claims are made one after the other, so that two processes never report for one project at once. */
const claimLock = 7_270_003
const minute = 60_000
/** Pauses after failures of the Git host itself. */
const pauses = [10_000, minute, 5 * minute, 30 * minute, 120 * minute, 360 * minute]

type Claimed = ForgeReport & { connection: ForgeConnection }

/** Reports deployments to Git hosts: at most one report of a project at a time. Several processes may run this. */
export function startReporter(deps: ReporterDeps & { bus: ChangeBus }): DueLoop {
  const { prisma, bus, logger } = deps
  const running = new Set<Promise<void>>()
  const start = (claimed: Claimed, signal: AbortSignal) => {
    const work = report(deps, claimed, signal)
      .catch((error) => {
        if (!signal.aborted) logger.warn({ err: error, deployment: claimed.deploymentId }, 'the outcome of a report to a Git host was not recorded')
      })
      .finally(() => {
        running.delete(work)
        loop.wake()
      })
    running.add(work)
  }
  const loop = startDueLoop({
    what: 'reports to Git hosts',
    isOfInterest: ({ kind }) => kind === 'report',
    bus,
    logger,
    async round(signal) {
      const claimed = await claimReports(prisma, concurrency - running.size)
      for (const one of claimed) start(one, signal)
      return dueInMs(prisma)
    },
  })
  return {
    wake: loop.wake,
    async stop() {
      await loop.stop()
      await Promise.allSettled(running)
    },
  }
}

/** Claims due reports, at most one of each project without a running one. */
export async function claimReports(prisma: PrismaClient, limit: number): Promise<Claimed[]> {
  if (limit <= 0) return []
  return prisma.$transaction(async (tx) => {
    await tx.$executeRaw`SELECT pg_advisory_xact_lock(${claimLock})`
    const rows = await tx.$queryRaw<{ deploymentId: string }[]>`
      UPDATE "ForgeReport" SET "attempts" = "attempts" + 1, "claimedUntil" = (now() AT TIME ZONE 'utc') + ${leaseSeconds} * interval '1 second'
      WHERE "deploymentId" IN (
        SELECT DISTINCT ON (r."projectId") r."deploymentId" FROM "ForgeReport" r JOIN "ForgeConnection" c USING ("projectId")
        WHERE r."dueAt" <= (now() AT TIME ZONE 'utc') AND (c."pausedUntil" IS NULL OR c."pausedUntil" <= (now() AT TIME ZONE 'utc'))
          AND NOT EXISTS (SELECT 1 FROM "ForgeReport" o WHERE o."projectId" = r."projectId" AND o."claimedUntil" > (now() AT TIME ZONE 'utc'))
        ORDER BY r."projectId", r."dueAt", r."deploymentId" LIMIT ${limit})
      RETURNING "deploymentId"`
    return tx.forgeReport.findMany({ where: { deploymentId: { in: rows.map((row) => row.deploymentId) } }, include: { connection: true } })
  })
}

/** Milliseconds until the next report is due, or a claim or pause that holds one up ends. */
async function dueInMs(prisma: PrismaClient): Promise<number> {
  const [next] = await prisma.$queryRaw<{ ms: number | null }[]>`
    SELECT (1000 * extract(epoch FROM min(greatest(r."dueAt", c."pausedUntil", busy."until")) - (now() AT TIME ZONE 'utc')))::float8 AS "ms"
    FROM "ForgeReport" r JOIN "ForgeConnection" c USING ("projectId")
    LEFT JOIN (SELECT "projectId", max("claimedUntil") AS "until" FROM "ForgeReport" GROUP BY 1) busy USING ("projectId")
    WHERE r."dueAt" IS NOT NULL`
  return next?.ms == null ? Number.POSITIVE_INFINITY : Math.max(200, next.ms)
}

/** Brings the Git host up to the present state of a deployment and records the outcome. */
export async function report(deps: ReporterDeps, claimed: Claimed, signal: AbortSignal): Promise<void> {
  const deadline = AbortSignal.timeout(reportDeadlineMs)
  const both = AbortSignal.any([signal, deadline])
  const progress: { forgeDeploymentId?: string } = {}
  const error = await tell(deps, claimed, progress, both).then(
    () => null,
    (cause: unknown) => (cause instanceof ForgeError ? cause : deadline.aborted ? tooSlow() : unexpected(deps.logger, claimed, cause, signal)),
  )
  signal.throwIfAborted()
  await record(deps.prisma, claimed, progress, error)
}

const tooSlow = () => new ForgeError('unavailable', 'The Git host answers too slowly.', { nextAction: 'It is tried again by itself.' })

function unexpected(logger: Logger, { deploymentId }: Claimed, cause: unknown, signal: AbortSignal): ForgeError {
  if (!signal.aborted) logger.error({ err: cause, deployment: deploymentId }, 'a report to a Git host failed unexpectedly')
  return new ForgeError('unavailable', 'The report failed inside Switchyard.', { nextAction: 'It is tried again by itself.', cause })
}

async function tell(deps: ReporterDeps, claimed: Claimed, progress: { forgeDeploymentId?: string }, signal: AbortSignal): Promise<void> {
  const { prisma, secrets } = deps
  const { connection, deploymentId } = claimed
  const row = await prisma.deployment.findUnique({ where: { id: deploymentId }, include: reportInclude })
  const wanted = row && reportOf(row, deps)
  if (!row || !wanted) return
  const provider = connection.provider as ForgeProvider
  const token = await secrets.open(connection.teamId, connection.token)
  const { apiUrl, allowPrivateNetwork, repository } = connection
  const forge = forges[provider](createForgeClient({ provider, apiUrl, token, allowPrivateNetwork }, signal), repository)
  const { pullRequest } = row.environment
  const parts = [
    () => forge.setStatus(wanted),
    async () => {
      const id = await forge.setDeployment?.(wanted, claimed.forgeDeploymentId)
      if (id !== undefined) progress.forgeDeploymentId = id
    },
    async () => {
      if (pullRequest === null) return
      // The comment is about the newest deployment, also when an older one is reported late.
      const newest = await prisma.deployment.findFirst({
        where: { environmentId: row.environmentId, commitSha: { not: null } },
        orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
        include: reportInclude,
      })
      const about = newest && reportOf(newest, deps)
      if (newest && about) await forge.setComment(pullRequest, markerOf(row.environmentId), commentText(provider, newest, about))
    },
  ]
  await inTurn(parts)
}

/** Runs every part although one is refused, because a token may be good for some of them; ends at once when the Git host does not work. */
async function inTurn(parts: readonly (() => Promise<void>)[]): Promise<void> {
  let refused: ForgeError | undefined
  for (const part of parts) {
    try {
      await part()
    } catch (error) {
      if (!(error instanceof ForgeError) || error.kind !== 'refused') throw error
      refused ??= error
    }
  }
  if (refused) throw refused
}

async function record(
  prisma: PrismaClient,
  { deploymentId, projectId, attempts }: Claimed,
  progress: { forgeDeploymentId?: string },
  error: ForgeError | null,
): Promise<void> {
  const now = new Date()
  const next = error ? nextAttempt(error, attempts, now) : null
  const problem: ForgeProblem | null = error && { message: error.message, nextAction: error.nextAction, at: now.toISOString() }
  await prisma.$transaction(async (tx) => {
    await tx.forgeReport.updateMany({ where: { deploymentId }, data: { ...progress, claimedUntil: null } })
    // Not if an event has made it due again meanwhile: its count of attempts begins anew.
    const counted = error?.kind === 'rate-limit' ? attempts - 1 : attempts
    await tx.forgeReport.updateMany({ where: { deploymentId, attempts }, data: { dueAt: next, attempts: counted, isFailed: error !== null } })
    await tx.forgeConnection.updateMany({ where: { projectId }, data: { problem: problem ?? Prisma.DbNull, pausedUntil: error?.retryAt ?? null } })
  })
}

/** When to try again; null: when an event or a person changes something. */
function nextAttempt(error: ForgeError, attempts: number, now: Date): Date | null {
  if (error.kind === 'rate-limit') return error.retryAt
  const pause = error.kind === 'unavailable' ? pauses[attempts - 1] : undefined
  return pause === undefined ? null : new Date(now.getTime() + pause * (0.9 + 0.2 * Math.random()))
}
