import { AppError } from '@/shared/errors'
import type { ClearedCacheView } from '@/shared/views'
import type { Actor } from '../actor'
import { writeAudit } from '../audit/audit'
import { scopeTo } from '../database/scope'
import { authorize } from '../teams/policy'
import type { ProjectDeps } from './deps'
import { requireProject } from './read'

/** No build has this key: what carries it is never used again for a new deployment. Releases keep it. */
const forgottenKey = ''

/**
 * Has the next build of the project begin from nothing: installed packages, caches of package managers and frameworks, the mirror of the
 * repository and results of earlier builds. @throws ERR_NOT_FOUND, ERR_CONFLICT while a build of the project is running
 */
export async function clearBuildCache(deps: ProjectDeps, actor: Actor, idOrSlug: string): Promise<ClearedCacheView> {
  authorize(actor, 'build-cache.clear')
  const db = scopeTo(deps.prisma, actor)
  const project = await requireProject(db, idOrSlug)
  // The build may be another process's, whose use of the cache is seen on record alone.
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
