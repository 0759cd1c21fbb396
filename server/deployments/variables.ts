import type { Variable, VariableScope } from '@/server/database/generated/client'
import type { ScopedClient } from '../database/scope'
import type { Secrets } from '../secrets/secrets'

/** Decrypts the environment's variables of a scope (build or runtime): `{KEY: value}`. */
export async function readVariables(
  db: ScopedClient,
  secrets: Pick<Secrets, 'open'>,
  where: { teamId: string; environmentId: string; scope: Exclude<VariableScope, 'BOTH'> },
): Promise<Record<string, string>> {
  const rows = await db.variable.findMany({
    where: { environmentId: where.environmentId, scope: { in: [where.scope, 'BOTH'] } },
    orderBy: { key: 'asc' },
  })
  return openAll(secrets, where.teamId, rows)
}

/** Decrypts the variables of all scopes, for masking their values. */
export async function readAllVariables(
  db: ScopedClient,
  secrets: Pick<Secrets, 'open'>,
  where: { teamId: string; environmentId: string },
): Promise<Record<string, string>> {
  return openAll(secrets, where.teamId, await db.variable.findMany({ where: { environmentId: where.environmentId } }))
}

async function openAll(secrets: Pick<Secrets, 'open'>, teamId: string, rows: Variable[]): Promise<Record<string, string>> {
  return Object.fromEntries(await Promise.all(rows.map(async (row) => [row.key, await secrets.open(teamId, row.ciphertext)] as const)))
}
