import type { Prisma } from '@/server/database/generated/client'
import type { Actor } from '../actor'
import type { ScopedClient, ScopedTransaction } from '../database/scope'

export interface AuditNote {
  /** `subject.verb`, in the past tense: "project.created". */
  action: string
  /** Id of the changed resource. */
  subject: string
  /** Names of changed fields, never their values: values may be secrets. */
  detail?: Prisma.InputJsonObject
}

/** Writes an audit entry in the transaction of the change, so that no change lacks an entry. */
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
