import type { z } from 'zod'
import type { SourceSpec } from '@/builder/builder'
import type { Prisma, PrismaClient } from '@/server/database/generated/client'
import type { BlobStore } from '@/storage/blob-store'
import { AppError } from '@/shared/errors'
import { newId } from '@/shared/node/ids'
import { runningDeploymentStatuses } from '@/shared/states'
import type { deploymentInput } from '@/shared/views'
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
  const project = await deps.prisma.project.findFirst({ where: { teamId: actor.teamId, OR: [{ id: input.projectId }, { slug: input.projectId }] } })
  if (!project) throw new AppError('ERR_NOT_FOUND', 'There is no such project in this team.', { nextAction: 'List your projects to see their ids.' })
  const source = await sourceOf(deps.storage, project, input)
  const id = newId()
  await deps.prisma.$transaction(async (tx) => {
    const environment = await lockProduction(tx, project)
    await refuseWhileRunning(tx, environment.id)
    await tx.deployment.create({
      data: {
        id,
        teamId: actor.teamId,
        projectId: project.id,
        environmentId: environment.id,
        triggeredBy: input.triggeredBy.toUpperCase() as 'USER' | 'API' | 'SYSTEM',
        createdBy: actor.name,
        source: source as unknown as Prisma.InputJsonObject,
        ref: source.kind === 'git' ? source.ref : null,
        branch: project.branch,
      },
    })
    await tx.job.create({
      data: { kind: 'deploy', exclusiveKey: `environment:${environment.id}`, payload: { deploymentId: id }, maxAttempts: jobCatalogue.deploy.maxAttempts },
    })
    await tx.event.create({
      data: { teamId: actor.teamId, projectId: project.id, kind: 'deployment.production.requested', payload: { deploymentId: id, triggeredBy: input.triggeredBy } },
    })
  })
  const scope = { teamId: actor.teamId, projectId: project.id }
  await deps.bus.publish({ kind: 'job', id, ...scope })
  await deps.bus.publish({ kind: 'deployment', id, ...scope })
  return { deploymentId: id, projectId: project.id }
}

/** Locks the row, so that two requests at the same time see each other. */
async function lockProduction(tx: Prisma.TransactionClient, project: { id: string; teamId: string }): Promise<{ id: string }> {
  const [environment] = await tx.$queryRaw<{ id: string }[]>`
    SELECT "id" FROM "Environment" WHERE "projectId" = ${project.id} AND "teamId" = ${project.teamId} AND "kind" = 'PRODUCTION' FOR UPDATE`
  if (!environment) throw new Error(`project ${project.id} has no production environment`)
  return environment
}

async function refuseWhileRunning(tx: Prisma.TransactionClient, environmentId: string): Promise<void> {
  const running = await tx.deployment.findFirst({ where: { environmentId, status: { in: runningDeploymentStatuses } }, select: { id: true } })
  if (running)
    throw new AppError('ERR_DEPLOYMENT_RUNNING', `Deployment ${running.id} is running for this environment.`, {
      nextAction: `Wait until it has ended, or cancel it (switchyard cancel ${running.id}).`,
    })
}

async function sourceOf(
  storage: BlobStore,
  project: { repository: string | null; branch: string | null; allowPrivateNetwork: boolean },
  input: Input,
): Promise<SourceSpec> {
  if (input.source) {
    if (!(await storage.stat(input.source)))
      throw new AppError('ERR_INVALID_INPUT', `There is no uploaded source ${input.source}.`, { nextAction: 'Upload the archive first (POST /api/v1/sources) and use the digest it answers.' })
    return { kind: 'archive', digest: input.source }
  }
  if (!project.repository)
    throw new AppError('ERR_INVALID_INPUT', 'The project has no repository and no source was uploaded.', {
      nextAction: 'Set a repository in the project’s settings, or deploy a folder: switchyard deploy DIR --project NAME.',
    })
  return { kind: 'git', url: project.repository, ref: input.ref ?? project.branch, allowPrivateNetwork: project.allowPrivateNetwork }
}
