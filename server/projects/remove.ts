import { AppError } from '@/shared/errors'
import { writeAudit } from '../audit/audit'
import { scopeTo } from '../database/scope'
import type { Actor } from '../platform'
import { authorize } from '../teams/policy'
import type { ProjectDeps } from './deps'
import { requireProject } from './read'

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
  await deps.bus.publish({ kind: 'project', id: project.id, teamId: actor.teamId, projectId: project.id })
}
