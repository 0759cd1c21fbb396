import { AppError } from '@/shared/errors'
import type { Actor } from '../actor'
import { writeAudit } from '../audit/audit'
import { type ScopedClient, scopeTo } from '../database/scope'
import { authorize } from '../teams/policy'
import type { ProjectDeps } from './deps'
import { requireProject } from './read'

/** Rows of visits that are removed at a time. */
const batchRows = 10_000

/**
 * Stops and removes everything of the project, then its record. When the teardown fails the record stays, so that it can be tried again.
 * @throws ERR_INVALID_INPUT when the typed name is not the project's
 */
export async function removeProject(deps: ProjectDeps, actor: Actor, projectId: string, confirmName: string): Promise<void> {
  authorize(actor, 'project.remove')
  const db = scopeTo(deps.prisma, actor)
  const project = await requireProject(db, projectId)
  if (confirmName !== project.name)
    throw new AppError('ERR_INVALID_INPUT', `The typed name is not ${project.name}.`, {
      nextAction: 'Type the name of the project exactly, to confirm.',
    })
  await deps.teardown(project.id)
  await db.$transaction(async (tx) => {
    // Environments, deployments, releases, instances and log lines go with it; artifacts have no parent that cascades.
    await tx.project.deleteMany({ where: { id: project.id } })
    await tx.artifact.deleteMany({ where: { projectId: project.id } })
    await writeAudit(tx, actor, { action: 'project.removed', subject: project.id, detail: { name: project.name, slug: project.slug } })
  })
  await forgetVisitors(db, project.id)
  await deps.bus.publish({ kind: 'project', id: project.id, teamId: actor.teamId, projectId: project.id })
}

/**
 * What its visitors asked for, their addresses included. After the project itself: routers may still report, and rows of a project that
 * is gone are not written any more. There may be millions, which is too much for one transaction.
 */
async function forgetVisitors(db: ScopedClient, projectId: string): Promise<void> {
  for (;;) {
    const rows = await db.accessLine.findMany({ where: { projectId }, select: { id: true }, orderBy: { id: 'desc' }, take: batchRows })
    const last = rows.at(-1)
    if (!last) break
    await db.accessLine.deleteMany({ where: { projectId, id: { gte: last.id } } })
  }
  await db.trafficMinute.deleteMany({ where: { projectId } })
}
