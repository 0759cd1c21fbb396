import { AppError } from '@/shared/errors'
import type { Actor } from '../actor'
import { writeAudit } from '../audit/audit'
import { type ScopedClient, scopeTo } from '../database/scope'
import { authorize } from '../teams/policy'
import type { ProjectDeps } from './deps'
import { requireProject } from './read'

/** Access records deleted per transaction. */
const batchRows = 10_000

/**
 * Stops and removes all resources of the project, then its row. When the teardown fails the row stays, so that the removal can be retried.
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
    // Environments, deployments, releases, instances and log lines are deleted by cascade; artifacts are not.
    await tx.project.deleteMany({ where: { id: project.id } })
    await tx.artifact.deleteMany({ where: { projectId: project.id } })
    await writeAudit(tx, actor, { action: 'project.removed', subject: project.id, detail: { name: project.name, slug: project.slug } })
  })
  await forgetVisitors(db, project.id)
  await deps.bus.publish({ kind: 'project', id: project.id, teamId: actor.teamId, projectId: project.id })
}

/**
 * Deletes access records, which include client addresses. After the project row: until then, routers may still report new records. There may
 * be millions of rows, too many for a single transaction.
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
