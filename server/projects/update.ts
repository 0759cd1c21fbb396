import { isDeepStrictEqual } from 'node:util'
import type { z } from 'zod'
import type { GitCredentials } from '@/builder/builder'
import { checkAddress, isSameRepository, splitAddress } from '@/builder/source/address'
import { Prisma, type Project } from '@/server/database/generated/client'
import { patchRuntimeSettings, readRuntimeSettings } from '@/shared/runtime-settings'
import type { ProjectView, projectPatch } from '@/shared/views'
import type { Actor } from '../actor'
import { writeAudit } from '../audit/audit'
import { scopeTo } from '../database/scope'
import { authorize } from '../teams/policy'
import { refuseTakenName } from './create'
import type { ProjectDeps } from './deps'
import { presentOne, requireProject } from './read'
import { openCredentials, sealCredentials } from './repository'

/** Changes settings for the next deployment. Renaming keeps the slug, because the slug is the public hostname. */
export async function updateProject(deps: ProjectDeps, actor: Actor, projectId: string, patch: z.output<typeof projectPatch>): Promise<ProjectView> {
  authorize(actor, 'project.update')
  const db = scopeTo(deps.prisma, actor)
  const before = await requireProject(db, projectId)
  const data = { ...changes(before, patch), ...(await changedRepository(deps, before, patch.repository, actor)) }
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

/** Fields of the patch that differ from the row; fields absent from the patch are unchanged. */
function changes(before: Project, patch: z.output<typeof projectPatch>): Prisma.ProjectUncheckedUpdateInput {
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
  for (const key of ['submodules', 'lfs'] as const) if (patch[key] !== undefined && patch[key] !== before[key]) data[key] = patch[key]
  if (patch.runtimeSettings) {
    const stored = patchRuntimeSettings(before.runtimeSettings, patch.runtimeSettings)
    const changed = !isDeepStrictEqual(readRuntimeSettings(stored), readRuntimeSettings(before.runtimeSettings))
    if (changed) data.runtimeSettings = stored ?? Prisma.DbNull
  }
  return data
}

/**
 * Changed repository URL or credentials; empty when unchanged. Credentials belong to a repository: a different URL without credentials
 * removes the stored credentials.
 */
async function changedRepository(
  deps: ProjectDeps,
  before: Project,
  given: string | null | undefined,
  actor: Actor,
): Promise<Prisma.ProjectUncheckedUpdateInput> {
  if (given === undefined) return {}
  if (!given) return before.repository === null ? {} : { repository: null, repositoryCredentials: null, allowPrivateNetwork: actor.operator }
  const { url, credentials } = splitAddress(given)
  const isSame = url === before.repository
  // Views show the URL without its token: the same URL sent back means "unchanged".
  if (isSame && !credentials) return {}
  const allowPrivateNetwork = actor.operator || (isSame && before.allowPrivateNetwork)
  await checkAddress(url, { allowPrivateNetwork })
  const opening = credentials ?? (await keptCredentials(deps, before, url))
  const repositoryCredentials = opening && (await sealCredentials(deps.secrets, actor.teamId, url, opening))
  return { repository: url, repositoryCredentials, allowPrivateNetwork }
}

async function keptCredentials(deps: ProjectDeps, { repository, ...before }: Project, url: string): Promise<GitCredentials | null> {
  if (!repository || !before.repositoryCredentials || !isSameRepository(repository, url)) return null
  return openCredentials(deps.secrets, before, repository)
}
