import type { VariableScope } from '@/server/database/generated/client'
import type { ScopedClient } from '../database/scope'
import type { Secrets } from '../secrets/secrets'

/** The environment's variables of one scope, decrypted: `{KEY: value}`. */
export async function readVariables(
  db: ScopedClient,
  secrets: Pick<Secrets, 'open'>,
  where: { teamId: string; environmentId: string; scope: Exclude<VariableScope, 'BOTH'> },
): Promise<Record<string, string>> {
  const rows = await db.variable.findMany({
    where: { environmentId: where.environmentId, scope: { in: [where.scope, 'BOTH'] } },
    orderBy: { key: 'asc' },
  })
  const entries = await Promise.all(rows.map(async (row) => [row.key, await secrets.open(where.teamId, row.ciphertext)] as const))
  return Object.fromEntries(entries)
}
