import { isDeepStrictEqual } from 'node:util'
import type { z } from 'zod'
import { checkAddress } from '@/builder/source/address'
import { Prisma, type Project } from '@/server/database/generated/client'
import { patchRuntimeSettings, readRuntimeSettings } from '@/shared/runtime-settings'
import type { ProjectView, projectPatch } from '@/shared/views'
import { writeAudit } from '../audit/audit'
import { scopeTo } from '../database/scope'
import { withoutCredentials } from '../deployments/present'
import type { Actor } from '../platform'
import { authorize } from '../teams/policy'
import { refuseTakenName } from './create'
import type { ProjectDeps } from './deps'
import { presentOne, requireProject } from './read'

/** Changes settings; the next deployment uses them. The slug stays with a new name: it is the address visitors know. */
export async function updateProject(deps: ProjectDeps, actor: Actor, projectId: string, patch: z.output<typeof projectPatch>): Promise<ProjectView> {
  authorize(actor, 'project.update')
  const db = scopeTo(deps.prisma, actor)
  const before = await requireProject(db, projectId)
  const data = changes(before, patch, actor)
  if (typeof data.repository === 'string') await checkAddress(data.repository, { allowPrivateNetwork: actor.operator })
  if (Object.keys(data).length === 0) return presentOne(db, before, deps.edge)
  if (patch.name !== undefined && patch.name !== before.name) await refuseTakenName(db, patch.name, before.id)
  const row = await db.$transaction(async (tx) => {
    const updated = await tx.project.update({ where: { id: before.id }, data })
    if (data.branch !== undefined)
      await tx.environment.updateMany({ where: { projectId: before.id, kind: 'PRODUCTION' }, data: { branch: updated.branch } })
    await writeAudit(tx, actor, { action: 'project.updated', subject: before.id, detail: { changed: Object.keys(data) } })
    return updated
  })
  await deps.bus.publish({ kind: 'project', id: row.id, teamId: actor.teamId, projectId: row.id })
  return presentOne(db, row, deps.edge)
}

/** What really differs. Only keys that were sent: a patch with one field leaves the others alone. */
function changes(before: Project, patch: z.output<typeof projectPatch>, actor: Actor): Prisma.ProjectUncheckedUpdateInput {
  const data: Prisma.ProjectUncheckedUpdateInput = {}
  for (const key of [
    'name',
    'branch',
    'rootDirectory',
    'installCommand',
    'buildCommand',
    'startCommand',
    'outputDirectory',
    'healthCheckPath',
  ] as const) {
    const value = patch[key]
    if (value === undefined) continue
    const next = value || null
    if (key === 'name') {
      if (next && next !== before.name) data.name = next
    } else if (next !== before[key]) data[key] = next
  }
  if (patch.runtimeSettings) {
    const stored = patchRuntimeSettings(before.runtimeSettings, patch.runtimeSettings)
    const changed = !isDeepStrictEqual(readRuntimeSettings(stored), readRuntimeSettings(before.runtimeSettings))
    if (changed) data.runtimeSettings = stored ?? Prisma.DbNull
  }
  const repository = patch.repository === undefined ? undefined : patch.repository || null
  // People are shown the address without its token: sent back like that, it is unchanged.
  const shown = before.repository && withoutCredentials(before.repository)
  if (repository !== undefined && repository !== before.repository && repository !== shown) {
    data.repository = repository
    data.allowPrivateNetwork = actor.operator
  }
  return data
}
