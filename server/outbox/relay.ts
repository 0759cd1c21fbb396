import type { Logger } from 'pino'
import type { Prisma, PrismaClient } from '@/server/database/generated/client'
import type { Edge } from '../deployments/present'
import type { ChangeBus } from '../events/bus'
import { type DueLoop, startDueLoop } from './due-loop'
import { describeEvents, type OutboxMessage } from './message'

/** Records what has to be done about events. What it sends is sent later, from its own table: a slow receiver delays nothing else. */
export interface Subscriber {
  /** Called in the transaction that marks these events as read: each event is recorded exactly once. */
  take(tx: Prisma.TransactionClient, messages: readonly OutboxMessage[]): Promise<void>
}

export interface RelayDeps {
  prisma: PrismaClient
  edge: Edge
  subscribers: readonly Subscriber[]
}

/** Advisory lock: a single process reads at a time, which keeps the order. */
const relayLock = 7_270_002
const batchSize = 200

/** The reader of the outbox. It is notified of new events by a trigger. */
export function startRelay(deps: RelayDeps & { bus: ChangeBus; logger: Logger }): DueLoop {
  const { bus, logger } = deps
  const round = async () => ((await relayBatch(deps)) === batchSize ? 0 : Number.POSITIVE_INFINITY)
  return startDueLoop({ what: 'outbox', round, isOfInterest: ({ kind }) => kind === 'event', bus, logger })
}

/**
 * Hands unread events to every subscriber, in the order of their ids, and marks them as read in the same transaction. Events of one
 * environment are written under a lock of its row, so that their ids follow its changes.
 * @returns how many; 0 also while another process reads
 */
export async function relayBatch({ prisma, edge, subscribers }: RelayDeps): Promise<number> {
  return prisma.$transaction(async (tx) => {
    const [lock] = await tx.$queryRaw<{ held: boolean }[]>`SELECT pg_try_advisory_xact_lock(${relayLock}) AS "held"`
    if (!lock?.held) return 0
    const rows = await tx.event.findMany({ where: { publishedAt: null }, orderBy: { id: 'asc' }, take: batchSize })
    if (rows.length === 0) return 0
    const messages = await describeEvents(tx, rows, edge)
    for (const subscriber of subscribers) await subscriber.take(tx, messages)
    await tx.event.updateMany({ where: { id: { in: rows.map(({ id }) => id) } }, data: { publishedAt: new Date() } })
    return rows.length
  })
}
