import type { z } from 'zod'
import type { PrismaClient, Variable } from '@/server/database/generated/client'
import { AppError } from '@/shared/errors'
import { newId } from '@/shared/node/ids'
import { maxVariablesBytes, nameCaution, ownedName } from '@/shared/variables'
import type { VariableView, variableInput } from '@/shared/views'
import type { Actor } from '../actor'
import { writeAudit } from '../audit/audit'
import { type ScopedClient, type ScopedTransaction, scopeTo } from '../database/scope'
import { requireEnvironment } from '../environments/read'
import type { ChangeBus } from '../events/bus'
import type { Secrets } from '../secrets/secrets'
import { authorize } from '../teams/policy'
import { requireProject } from './read'

/** Limit per environment, so that a single project cannot fill the database. */
const maxVariables = 500

function presentVariable(row: Variable): VariableView {
  return {
    key: row.key,
    scope: row.scope.toLowerCase() as Lowercase<typeof row.scope>,
    caution: nameCaution(row.key),
    updatedAt: row.updatedAt.toISOString(),
    updatedBy: row.updatedBy,
  }
}

const environmentOf = async (db: ScopedClient, project: string, name: string | undefined) =>
  requireEnvironment(db, (await requireProject(db, project)).id, name)

function refuseOwned(key: string): void {
  const reason = ownedName(key)
  if (reason !== null)
    throw new AppError('ERR_INVALID_INPUT', `${key} cannot be set: ${reason}.`, { nextAction: 'Use another name for what the app reads.' })
}

/** Limits the total size. Counts sealed values: their few extra bytes each approximate the length of the name. @throws ERR_INVALID_INPUT */
async function refuseTooMuch(tx: ScopedTransaction, environmentId: string): Promise<void> {
  const rows = await tx.variable.findMany({ where: { environmentId }, select: { ciphertext: true } })
  const bytes = rows.reduce((sum, row) => sum + row.ciphertext.length, 0)
  if (bytes > maxVariablesBytes)
    throw new AppError('ERR_INVALID_INPUT', `The variables of an environment have ${bytes} bytes together; at most ${maxVariablesBytes} fit.`, {
      nextAction: 'Keep large values in a file or a store that the app reads, and remove variables that are not used.',
    })
}

export interface Variables {
  list(actor: Actor, projectId: string, environment?: string): Promise<VariableView[]>
  set(actor: Actor, projectId: string, input: z.output<typeof variableInput>, environment?: string): Promise<VariableView>
  remove(actor: Actor, projectId: string, key: string, environment?: string): Promise<void>
}

/** Use-cases of variables. Values are write-only: builds and instances receive them, no view returns them. Changes apply from the next deployment. */
export function createVariables(deps: { prisma: PrismaClient; secrets: Pick<Secrets, 'seal'>; bus: Pick<ChangeBus, 'publish'> }): Variables {
  const announce = (teamId: string, projectId: string) => deps.bus.publish({ kind: 'variable', id: projectId, teamId, projectId })
  return {
    async list(actor, project, environment) {
      authorize(actor, 'variable.read')
      const db = scopeTo(deps.prisma, actor)
      const { id: environmentId } = await environmentOf(db, project, environment)
      return (await db.variable.findMany({ where: { environmentId }, orderBy: { key: 'asc' } })).map(presentVariable)
    },

    async set(actor, project, { key, value, scope }, environment) {
      authorize(actor, 'variable.write')
      refuseOwned(key)
      const db = scopeTo(deps.prisma, actor)
      const { id: environmentId, projectId } = await environmentOf(db, project, environment)
      const ciphertext = await deps.secrets.seal(actor.teamId, value)
      const fields = { ciphertext, scope: scope.toUpperCase() as Variable['scope'], updatedBy: actor.name }
      const row = await db.$transaction(async (tx) => {
        const written = await tx.variable.upsert({
          where: { environmentId_key: { environmentId, key } },
          create: { id: newId(), teamId: actor.teamId, environmentId, key, ...fields },
          update: fields,
        })
        if ((await tx.variable.count({ where: { environmentId } })) > maxVariables)
          throw new AppError('ERR_INVALID_INPUT', `An environment has at most ${maxVariables} variables.`, {
            nextAction: 'Remove some that are not used.',
          })
        await refuseTooMuch(tx, environmentId)
        await writeAudit(tx, actor, { action: 'variable.set', subject: projectId, detail: { key, scope } })
        return written
      })
      await announce(actor.teamId, projectId)
      return presentVariable(row)
    },

    async remove(actor, project, key, environment) {
      authorize(actor, 'variable.write')
      const db = scopeTo(deps.prisma, actor)
      const { id: environmentId, projectId } = await environmentOf(db, project, environment)
      await db.$transaction(async (tx) => {
        const { count } = await tx.variable.deleteMany({ where: { environmentId, key } })
        if (count === 0) throw new AppError('ERR_NOT_FOUND', `There is no variable ${key}.`)
        await writeAudit(tx, actor, { action: 'variable.removed', subject: projectId, detail: { key } })
      })
      await announce(actor.teamId, projectId)
    },
  }
}
