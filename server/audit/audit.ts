import type { Prisma } from '@/server/database/generated/client'
import type { Actor } from '../actor'
import type { ScopedClient, ScopedTransaction } from '../database/scope'

export interface AuditNote {
  /** `subject.verb`, in the past tense: "project.created". */
  action: string
  /** Id of what was acted on. */
  subject: string
  /** Never a secret: names of what changed, not values. */
  detail?: Prisma.InputJsonObject
}

/** Written in the transaction of the change itself: there is no change without its entry. */
export async function writeAudit(db: ScopedClient | ScopedTransaction, actor: Actor, note: AuditNote): Promise<void> {
  await db.auditEntry.create({
    data: {
      teamId: actor.teamId,
      actorId: actor.id,
      actorName: actor.name,
      action: note.action,
      subject: note.subject,
      address: actor.address ?? null,
      ...(note.detail ? { detail: note.detail } : {}),
    },
  })
}
