import type { z } from 'zod'
import type { SourceSpec } from '@/builder/builder'
import type { Prisma, PrismaClient } from '@/server/database/generated/client'
import { AppError } from '@/shared/errors'
import { newId } from '@/shared/node/ids'
import { runningDeploymentStatuses } from '@/shared/states'
import type { deploymentInput } from '@/shared/views'
import type { BlobStore } from '@/storage/blob-store'
import { isUniqueViolation } from '../database/client'
import { type ScopedClient, scopeTo } from '../database/scope'
import type { ChangeBus } from '../events/bus'
import { jobCatalogue } from '../jobs/catalogue'
import type { Actor } from '../platform'

type Input = z.output<typeof deploymentInput>

/**
 * Records a PENDING deployment and its job in one transaction: whatever happens afterwards, the request is not lost.
 * @throws ERR_NOT_FOUND, ERR_INVALID_INPUT (nothing to build), ERR_DEPLOYMENT_RUNNING
 */
export async function createDeployment(
  deps: { prisma: PrismaClient; bus: ChangeBus; storage: BlobStore },
  actor: Actor,
  input: Input,
): Promise<{ deploymentId: string; projectId: string }> {
  const db = scopeTo(deps.prisma, actor)
  const project = await db.project.findFirst({ where: { OR: [{ id: input.projectId }, { slug: input.projectId }] } })
  if (!project) throw new AppError('ERR_NOT_FOUND', 'There is no such project in this team.', { nextAction: 'List your projects to see their ids.' })
  const source = await sourceOf(deps.storage, project, input)
  const id = newId()
  const environment = await db.environment.findFirstOrThrow({ where: { projectId: project.id, kind: 'PRODUCTION' }, select: { id: true } })
  const row = {
    id,
    projectId: project.id,
    environmentId: environment.id,
    triggeredBy: input.triggeredBy.toUpperCase() as 'USER' | 'API' | 'SYSTEM',
    createdBy: actor.name,
    source: source as unknown as Prisma.InputJsonObject,
    ref: source.kind === 'git' ? source.ref : null,
    branch: project.branch,
  }
  await refuseWhileRunning(db, environment.id, () =>
    db.$transaction(async (tx) => {
      await tx.deployment.create({ data: { ...row, teamId: actor.teamId } })
      await tx.job.create({
        data: {
          kind: 'deploy',
          exclusiveKey: `environment:${environment.id}`,
          payload: { deploymentId: id },
          maxAttempts: jobCatalogue.deploy.maxAttempts,
        },
      })
      await tx.event.create({
        data: {
          teamId: actor.teamId,
          projectId: project.id,
          kind: 'deployment.production.requested',
          payload: { deploymentId: id, triggeredBy: input.triggeredBy },
        },
      })
    }),
  )
  const scope = { teamId: actor.teamId, projectId: project.id }
  await deps.bus.publish({ kind: 'job', id, ...scope })
  await deps.bus.publish({ kind: 'deployment', id, ...scope })
  return { deploymentId: id, projectId: project.id }
}

/** The database holds "one at a time" by a partial unique index; this turns its refusal into words. */
async function refuseWhileRunning(db: ScopedClient, environmentId: string, write: () => Promise<void>): Promise<void> {
  try {
    await write()
  } catch (error) {
    if (!isUniqueViolation(error)) throw error
    const running = await db.deployment.findFirst({ where: { environmentId, status: { in: runningDeploymentStatuses } }, select: { id: true } })
    throw new AppError('ERR_DEPLOYMENT_RUNNING', `Deployment ${running?.id ?? ''} is running for this environment.`.replace('  ', ' '), {
      nextAction: running ? `Wait until it has ended, or cancel it: switchyard cancel ${running.id}` : 'It has just ended: try again.',
    })
  }
}

async function sourceOf(
  storage: BlobStore,
  project: { repository: string | null; branch: string | null; allowPrivateNetwork: boolean },
  input: Input,
): Promise<SourceSpec> {
  if (input.source) {
    if (!(await storage.stat(input.source)))
      throw new AppError('ERR_INVALID_INPUT', `There is no uploaded source ${input.source}.`, {
        nextAction: 'Upload the archive first (POST /api/v1/sources) and use the digest it answers.',
      })
    return { kind: 'archive', digest: input.source }
  }
  if (!project.repository)
    throw new AppError('ERR_INVALID_INPUT', 'The project has no repository and no source was uploaded.', {
      nextAction: 'Set a repository in the project’s settings, or deploy a folder: switchyard deploy DIR --project NAME.',
    })
  return { kind: 'git', url: project.repository, ref: input.ref ?? project.branch, allowPrivateNetwork: project.allowPrivateNetwork }
}
