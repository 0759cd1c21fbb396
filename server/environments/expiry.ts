import type { Logger } from 'pino'
import type { PrismaClient } from '@/server/database/generated/client'
import { scopeTo } from '../database/scope'
import type { ChangeBus } from '../events/bus'
import { closeEnvironment } from './environments'

const everyMs = 60_000

/** Closes previews whose time to live has passed, once a minute and at the start. */
export function startExpiry(deps: { prisma: PrismaClient; bus: Pick<ChangeBus, 'publish'>; logger: Logger }): { stop(): void } {
  const run = () => closeExpired(deps).catch((error) => deps.logger.warn({ err: error }, 'expired previews not closed; trying again in a minute'))
  const timer = setInterval(run, everyMs)
  timer.unref()
  void run()
  return { stop: () => clearInterval(timer) }
}

/** Exported for tests. */
export async function closeExpired({ prisma, bus }: { prisma: PrismaClient; bus: Pick<ChangeBus, 'publish'> }): Promise<void> {
  const expired = await prisma.environment.findMany({ where: { kind: 'PREVIEW', closedAt: null, expiresAt: { lt: new Date() } } })
  for (const one of expired) await closeEnvironment(scopeTo(prisma, one), bus, one, 'The time to live of the preview has passed.')
}
