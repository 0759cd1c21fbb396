import type { Environment } from '@/server/database/generated/client'
import { AppError } from '@/shared/errors'
import type { ScopedClient } from '../database/scope'

/** The project's environment by name or id; default: production. @throws ERR_NOT_FOUND */
export async function requireEnvironment(db: ScopedClient, projectId: string, nameOrId?: string): Promise<Environment> {
  const row = await db.environment.findFirst({
    where: { projectId, ...(nameOrId === undefined ? { kind: 'PRODUCTION' } : { OR: [{ name: nameOrId }, { id: nameOrId }] }) },
  })
  if (!row)
    throw new AppError('ERR_NOT_FOUND', `The project has no environment ${nameOrId ?? 'production'}.`, {
      nextAction: 'List its environments to see their names.',
    })
  return row
}

/** The environment of the team. @throws ERR_NOT_FOUND */
export async function requireEnvironmentById(db: ScopedClient, id: string): Promise<Environment> {
  const row = await db.environment.findUnique({ where: { id } })
  if (!row) throw new AppError('ERR_NOT_FOUND', 'There is no such environment in this team.', { nextAction: 'List the environments of the project.' })
  return row
}

/** The environment and those it inherits from, itself first. Two levels exist: a preview and the environment of all previews. */
export async function lineageOf(db: Pick<ScopedClient, 'environment'>, environmentId: string): Promise<Environment[]> {
  const { parent, ...own } = await db.environment.findUniqueOrThrow({ where: { id: environmentId }, include: { parent: true } })
  return parent ? [own, parent] : [own]
}
