import type { ApiKey, PrismaClient } from '@/server/database/generated/client'
import { AppError } from '@/shared/errors'
import { newId } from '@/shared/node/ids'
import type { ApiKeyView } from '@/shared/views'
import type { Actor } from '../actor'
import { writeAudit } from '../audit/audit'
import { scopeTo } from '../database/scope'
import type { Secrets } from '../secrets/secrets'
import { authorize, outranks } from '../teams/policy'
import { hashApiKey, newApiKey, prefixOf } from './key'

const dayMs = 24 * 60 * 60 * 1000
/** `lastUsedAt` is written at most this often for a key: a busy key must not become a write per request. */
const lastUsedEveryMs = 60_000

export function presentApiKey(row: ApiKey): ApiKeyView {
  return {
    id: row.id,
    name: row.name,
    prefix: row.prefix,
    role: row.role.toLowerCase() as Lowercase<typeof row.role>,
    createdAt: row.createdAt.toISOString(),
    lastUsedAt: row.lastUsedAt?.toISOString() ?? null,
    expiresAt: row.expiresAt?.toISOString() ?? null,
  }
}

export interface ApiKeys {
  list(actor: Actor): Promise<ApiKeyView[]>
  /** Returns the plain `key`, which cannot be shown again. */
  create(
    actor: Actor,
    input: { name: string; role: 'admin' | 'member'; expiresInDays?: number | null | undefined },
  ): Promise<ApiKeyView & { key: string }>
  revoke(actor: Actor, id: string): Promise<void>
}

/** Use-cases of a team's API keys. Only a keyed hash of a key is stored. */
export function createApiKeys({ prisma, secrets }: { prisma: PrismaClient; secrets: Secrets }): ApiKeys {
  return {
    async list(actor) {
      authorize(actor, 'api-key.read')
      const rows = await scopeTo(prisma, actor).apiKey.findMany({ where: { revokedAt: null }, orderBy: { createdAt: 'desc' } })
      return rows.map(presentApiKey)
    },

    async create(actor, input) {
      authorize(actor, 'api-key.write')
      const key = newApiKey()
      const row = await scopeTo(prisma, actor).$transaction(async (tx) => {
        const created = await tx.apiKey.create({
          data: {
            id: newId(),
            teamId: actor.teamId,
            name: input.name,
            prefix: prefixOf(key),
            hash: hashApiKey(secrets, key),
            role: input.role === 'admin' ? 'ADMIN' : 'MEMBER',
            // The operator has the key in `operator.key`; keys created through the API never reach private networks.
            operator: false,
            createdBy: actor.name,
            expiresAt: input.expiresInDays ? new Date(Date.now() + input.expiresInDays * dayMs) : null,
          },
        })
        await writeAudit(tx, actor, { action: 'api-key.created', subject: created.id, detail: { name: created.name, role: created.role } })
        return created
      })
      return { ...presentApiKey(row), key }
    },

    async revoke(actor, id) {
      authorize(actor, 'api-key.write')
      await scopeTo(prisma, actor).$transaction(async (tx) => {
        const row = await tx.apiKey.findFirst({ where: { id, revokedAt: null } })
        if (!row) throw new AppError('ERR_NOT_FOUND', 'There is no such API key in this team.')
        if (outranks(row.role.toLowerCase() as Actor['role'], actor.role))
          throw new AppError('ERR_FORBIDDEN', `This key has the role ${row.role.toLowerCase()}, yours is ${actor.role}.`, {
            nextAction: 'Ask an owner of the team.',
          })
        await tx.apiKey.update({ where: { id }, data: { revokedAt: new Date() } })
        await writeAudit(tx, actor, { action: 'api-key.revoked', subject: id, detail: { name: row.name } })
      })
    },
  }
}

/** The actor of an API key; null: unknown, revoked or expired. */
export async function findActorOfApiKey(prisma: PrismaClient, secrets: Secrets, key: string): Promise<Actor | null> {
  if (key.length > 500) return null
  const row = await prisma.apiKey.findUnique({ where: { hash: hashApiKey(secrets, key) } })
  const now = Date.now()
  if (!row || row.revokedAt || (row.expiresAt && row.expiresAt.getTime() <= now)) return null
  if (!row.lastUsedAt || now - row.lastUsedAt.getTime() > lastUsedEveryMs)
    await prisma.apiKey.updateMany({
      where: { id: row.id, OR: [{ lastUsedAt: null }, { lastUsedAt: row.lastUsedAt }] },
      data: { lastUsedAt: new Date(now) },
    })
  return {
    kind: 'api-key',
    id: row.id,
    name: `key ${row.name}`,
    teamId: row.teamId,
    role: row.role.toLowerCase() as Actor['role'],
    operator: row.operator,
    expiresAt: row.expiresAt,
  }
}
