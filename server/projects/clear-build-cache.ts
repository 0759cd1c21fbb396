import { AppError } from '@/shared/errors'
import type { ClearedCacheView } from '@/shared/views'
import type { Actor } from '../actor'
import { writeAudit } from '../audit/audit'
import { scopeTo } from '../database/scope'
import { authorize } from '../teams/policy'
import type { ProjectDeps } from './deps'
import { requireProject } from './read'

/** A cache key that no build computes: artifacts with it are never reused for a new deployment; releases still use them. */
const forgottenKey = ''

/**
 * Makes the next build start from scratch: clears installed packages, caches of package managers and frameworks, the repository mirror and
 * earlier build results. @throws ERR_NOT_FOUND, ERR_CONFLICT while a build of the project is running
 */
export async function clearBuildCache(deps: ProjectDeps, actor: Actor, idOrSlug: string): Promise<ClearedCacheView> {
  authorize(actor, 'build-cache.clear')
  const db = scopeTo(deps.prisma, actor)
  const project = await requireProject(db, idOrSlug)
  // A build may run in another process: only the database shows that it uses the cache.
  const building = await db.deployment.findFirst({ where: { projectId: project.id, status: 'BUILDING' }, select: { id: true } })
  if (building)
    throw new AppError('ERR_CONFLICT', `Deployment ${building.id} is being built with this cache.`, {
      nextAction: 'Wait until its build has ended, or cancel it; then clear the cache again.',
    })
  const freedBytes = await deps.builder.clearCache(project.id)
  await db.artifact.updateMany({ where: { projectId: project.id }, data: { buildKey: forgottenKey } })
  await writeAudit(db, actor, { action: 'build-cache.cleared', subject: project.id, detail: { freedBytes } })
  return { freedBytes }
}
