import type { PrismaClient, VariableScope } from '@/server/database/generated/client'
import type { Secrets } from '../secrets/secrets'

/** The environment's variables of one scope, decrypted: `{KEY: value}`. */
export async function readVariables(
  deps: { prisma: PrismaClient; secrets: Secrets },
  where: { teamId: string; environmentId: string; scope: Exclude<VariableScope, 'BOTH'> },
): Promise<Record<string, string>> {
  const rows = await deps.prisma.variable.findMany({
    where: { teamId: where.teamId, environmentId: where.environmentId, scope: { in: [where.scope, 'BOTH'] } },
    orderBy: { key: 'asc' },
  })
  const entries = await Promise.all(rows.map(async (row) => [row.key, await deps.secrets.open(where.teamId, row.ciphertext)] as const))
  return Object.fromEntries(entries)
}
