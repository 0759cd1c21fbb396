import type { z } from 'zod'
import type { SourceSpec } from '@/builder/builder'
import type { Prisma, PrismaClient } from '@/server/database/generated/client'
import { AppError } from '@/shared/errors'
import { newId } from '@/shared/node/ids'
import { runningDeploymentStatuses } from '@/shared/states'
import type { deploymentInput } from '@/shared/views'
import type { BlobStore } from '@/storage/blob-store'
import type { Actor } from '../actor'
import { isUniqueViolation } from '../database/client'
import { type ScopedClient, scopeTo } from '../database/scope'
import type { ChangeBus } from '../events/bus'
import { jobCatalogue } from '../jobs/catalogue'
import { writeEvent } from '../outbox/write-event'

type Input = z.output<typeof deploymentInput>

/**
 * Records a PENDING deployment and its job in a single transaction, so that a crash cannot lose the request.
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
  const what = await sourceOf(deps.storage, db, project, input)
  const environment = await db.environment.findFirstOrThrow({ where: { projectId: project.id, kind: 'PRODUCTION' }, select: { id: true } })
  const deploymentId = await queueDeployment(deps.bus, db, {
    teamId: actor.teamId,
    projectId: project.id,
    environmentId: environment.id,
    ...what,
    noCache: input.noCache,
    triggeredBy: triggerOf(actor, input.triggeredBy),
    createdBy: actor.name,
  })
  return { deploymentId, projectId: project.id }
}

/** @throws ERR_FORBIDDEN when a caller other than the operator claims a trigger reserved for the platform */
function triggerOf(actor: Actor, claimed: Input['triggeredBy']): Input['triggeredBy'] {
  if (actor.kind === 'user') return 'user'
  if (claimed === 'system' && !actor.operator)
    throw new AppError('ERR_FORBIDDEN', 'triggeredBy "system" is for the platform itself and its operators.', {
      nextAction: 'Send "user" or "api", or leave it out.',
    })
  return claimed
}

/** Source to build, and its commit details known before the fetch. */
interface RequestedSource {
  /** Recorded without credentials: the project row holds them sealed. */
  source: SourceSpec
  branch: string | null
  repeats?: string
  commitSha?: string | null
  commitMessage?: string | null
  commitAuthor?: string | null
}

export interface QueuedDeployment extends RequestedSource {
  teamId: string
  projectId: string
  environmentId: string
  noCache?: boolean
  triggeredBy: Input['triggeredBy']
  createdBy: string
}

/** Writes the deployment, its job and its event in a single transaction; the commit wakes a worker. @throws ERR_DEPLOYMENT_RUNNING */
export async function queueDeployment(bus: ChangeBus, db: ScopedClient, what: QueuedDeployment): Promise<string> {
  const { teamId, projectId, environmentId, source, triggeredBy, ...rest } = what
  const id = newId()
  await refuseWhileRunning(db, environmentId, () =>
    db.$transaction(async (tx) => {
      await tx.deployment.create({
        data: {
          id,
          teamId,
          projectId,
          environmentId,
          ...rest,
          triggeredBy: triggeredBy.toUpperCase() as Uppercase<typeof triggeredBy>,
          source: source as unknown as Prisma.InputJsonObject,
          ref: source.kind === 'git' ? source.ref : null,
        },
      })
      await tx.job.create({
        data: {
          kind: 'deploy',
          exclusiveKey: `environment:${environmentId}`,
          fairKey: teamId,
          payload: { deploymentId: id },
          maxAttempts: jobCatalogue.deploy.maxAttempts,
        },
      })
      await writeEvent(tx, { teamId, projectId, kind: 'deployment.production.requested', payload: { deploymentId: id, environmentId, triggeredBy } })
    }),
  )
  await bus.publish({ kind: 'deployment', id, teamId, projectId })
  return id
}

/** Turns the violation of the partial unique index (one running deployment per environment) into ERR_DEPLOYMENT_RUNNING. */
async function refuseWhileRunning(db: ScopedClient, environmentId: string, write: () => Promise<void>): Promise<void> {
  try {
    await write()
  } catch (error) {
    if (!isUniqueViolation(error)) throw error
    const running = await db.deployment.findFirst({ where: { environmentId, status: { in: runningDeploymentStatuses } }, select: { id: true } })
    throw new AppError('ERR_DEPLOYMENT_RUNNING', `Deployment ${running?.id ?? ''} is running for this environment.`.replace('  ', ' '), {
      nextAction: running
        ? `Wait until it has ended (switchyard deploy --wait-for-turn does), or cancel it: switchyard cancel ${running.id}`
        : 'It has just ended: try again.',
    })
  }
}

async function sourceOf(
  storage: BlobStore,
  db: ScopedClient,
  project: { id: string; repository: string | null; branch: string | null; allowPrivateNetwork: boolean },
  input: Input,
): Promise<RequestedSource> {
  if (input.repeat) return repeatedSource(storage, db, project, input.repeat)
  if (input.source) {
    // Scoped query: another team's upload looks like an unknown digest.
    const uploaded = await db.upload.findFirst({ where: { digest: input.source }, select: { digest: true } })
    if (!uploaded || !(await storage.stat(input.source)))
      throw new AppError('ERR_INVALID_INPUT', `There is no uploaded source ${input.source}.`, {
        nextAction: 'Upload the archive first (POST /api/v1/sources) and use the digest it answers.',
      })
    return { source: { kind: 'archive', digest: input.source }, branch: null }
  }
  if (!project.repository)
    throw new AppError('ERR_INVALID_INPUT', 'The project has no repository, and neither a source nor a deployment to repeat was named.', {
      nextAction: 'Deploy a folder (switchyard deploy DIR --project NAME), redeploy one of its deployments, or set a repository in its settings.',
    })
  const { repository: url, branch, allowPrivateNetwork } = project
  // The branch of another ref (a tag, a commit) is known only after the fetch.
  return { source: { kind: 'git', url, ref: input.ref ?? branch, allowPrivateNetwork }, branch: input.ref ? null : branch }
}

/** Source (commit or upload) of an earlier deployment, whatever its status. @throws ERR_NOT_FOUND, ERR_CONFLICT when the source is gone */
async function repeatedSource(storage: BlobStore, db: ScopedClient, project: { id: string }, repeat: string): Promise<RequestedSource> {
  const before = await db.deployment.findFirst({ where: { id: repeat, projectId: project.id } })
  if (!before)
    throw new AppError('ERR_NOT_FOUND', `The project has no deployment ${repeat}.`, { nextAction: 'List its deployments to see their ids.' })
  const { branch, commitSha, commitMessage, commitAuthor } = before
  const source = before.source as unknown as SourceSpec
  if (source.kind === 'git') {
    return { source: { ...source, ref: commitSha ?? source.ref }, branch, commitSha, commitMessage, commitAuthor, repeats: repeat }
  }
  if (!(await storage.stat(source.digest)))
    throw new AppError('ERR_CONFLICT', `The folder that was uploaded for deployment ${repeat} is not kept any more.`, {
      nextAction: 'Deploy the folder again: switchyard deploy DIR --project NAME',
    })
  return { source, branch, repeats: repeat }
}
