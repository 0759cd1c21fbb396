import type { Prisma } from '@/server/database/generated/client'
import { type EventKind, type EventPayload, eventCatalogue } from '@/shared/events'

/** A transaction of a scoped or an unscoped client. */
interface EventTransaction {
  event: { create(args: { data: Prisma.EventUncheckedCreateInput }): Promise<unknown> }
}

/**
 * Writes an event in the transaction of its change: a change that is rolled back has no event, and a committed one is never without. The
 * reader (`relay.ts`) is notified by a trigger when the transaction commits.
 */
export async function writeEvent<K extends EventKind>(
  tx: EventTransaction,
  { teamId, projectId, kind, payload }: { teamId: string; projectId: string; kind: K; payload: EventPayload<K> },
): Promise<void> {
  await tx.event.create({ data: { teamId, projectId, kind, payload: eventCatalogue[kind].payload.parse(payload) as Prisma.InputJsonObject } })
}
