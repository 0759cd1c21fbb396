import type { Variable, VariableScope } from '@/server/database/generated/client'
import type { ScopedClient } from '../database/scope'
import { lineageOf } from '../environments/read'
import type { Secrets } from '../secrets/secrets'

type Where = { teamId: string; environmentId: string }

/** Decrypts the variables of a scope (build or runtime) that hold in the environment, inherited variables included: `{KEY: value}`. */
export async function readVariables(
  db: ScopedClient,
  secrets: Pick<Secrets, 'open'>,
  where: Where & { scope: Exclude<VariableScope, 'BOTH'> },
): Promise<Record<string, string>> {
  const rows = await effectiveVariables(db, where.environmentId)
  return openAll(
    secrets,
    where.teamId,
    rows.filter(({ scope }) => scope === where.scope || scope === 'BOTH'),
  )
}

/** Decrypts the variables of all scopes, for masking their values. */
export async function readAllVariables(db: ScopedClient, secrets: Pick<Secrets, 'open'>, where: Where): Promise<Record<string, string>> {
  return openAll(secrets, where.teamId, await effectiveVariables(db, where.environmentId))
}

/** Rows that hold in the environment, by key: its own before those of the environment it inherits from. */
export async function effectiveVariables(db: ScopedClient, environmentId: string): Promise<Variable[]> {
  const ids = (await lineageOf(db, environmentId)).map(({ id }) => id)
  const rows = await db.variable.findMany({ where: { environmentId: { in: ids } }, orderBy: { key: 'asc' } })
  const byKey = new Map<string, Variable>()
  for (const id of ids.toReversed()) for (const row of rows) if (row.environmentId === id) byKey.set(row.key, row)
  return [...byKey.values()]
}

async function openAll(secrets: Pick<Secrets, 'open'>, teamId: string, rows: Variable[]): Promise<Record<string, string>> {
  return Object.fromEntries(await Promise.all(rows.map(async (row) => [row.key, await secrets.open(teamId, row.ciphertext)] as const)))
}
