import type { PrismaClient } from '@/server/database/generated/client'
import { AppError } from '@/shared/errors'
import type { Actor } from '../actor'
import { writeAudit } from '../audit/audit'
import type { Deployment, DeploymentKind, Environment, Prisma } from '../database/generated/client'
import { type ScopedClient, scopeTo } from '../database/scope'
import { requireEnvironment } from '../environments/read'
import type { ChangeBus } from '../events/bus'
import { requireProject } from '../projects/read'
import { type QueuedRelease, queueRelease, type Trigger, type WithinRelease } from './queue'

export interface ReleaseDeps {
  prisma: PrismaClient
  bus: ChangeBus
}

/** What is released, where to, and how it came about. */
interface Wish {
  kind: Exclude<DeploymentKind, 'BUILD'>
  origin: Deployment
  environment: Environment
  reason?: string
  within?: WithinRelease
}

const triggerOf = (actor: Actor): Trigger => (actor.kind === 'user' ? 'user' : actor.kind === 'system' ? 'system' : 'api')

/**
 * Makes the release of an earlier deployment live again, with the variables and settings that it had. Automatic deploys of the environment
 * pause until a person resumes them. Builds nothing. @returns the id of the new deployment
 * @throws ERR_NOT_FOUND, ERR_CONFLICT when the deployment never was live, is live, or its artifact is gone
 */
export async function rollBackTo(deps: ReleaseDeps, actor: Actor, deploymentId: string, why: Pick<Wish, 'reason' | 'within'> = {}): Promise<string> {
  const db = scopeTo(deps.prisma, actor)
  const origin = await requireDeployment(db, deploymentId)
  const environment = await db.environment.findUniqueOrThrow({ where: { id: origin.environmentId } })
  if (!origin.liveAt || !origin.releaseId)
    throw new AppError('ERR_CONFLICT', 'This deployment never was live, so there is nothing to go back to.', {
      nextAction: 'Choose a deployment that was live, or redeploy this one.',
    })
  const live = environment.liveReleaseId ? await db.deployment.findFirst({ where: { releaseId: environment.liveReleaseId } }) : null
  // A rollback has a release of its own: what it brought back is live as well.
  if (live?.id === origin.id || (live?.kind === 'ROLLBACK' && live.repeats === origin.id))
    throw new AppError('ERR_CONFLICT', 'This deployment is live already.')
  return release(deps, db, actor, { kind: 'ROLLBACK', origin, environment, ...why })
}

/** Rolls an environment back to its previous live version. @throws ERR_NOT_FOUND, ERR_CONFLICT when no previous version exists */
export async function rollBackProject(deps: ReleaseDeps, actor: Actor, project: string, environmentName?: string, reason?: string): Promise<string> {
  const db = scopeTo(deps.prisma, actor)
  const { id: projectId } = await requireProject(db, project)
  const environment = await requireEnvironment(db, projectId, environmentName)
  const before = await previousVersion(db, environment)
  if (!before)
    throw new AppError('ERR_CONFLICT', `No earlier version of ${environment.name} can be rolled back to.`, {
      nextAction: 'Deploy once more: from then on there is a version to go back to.',
    })
  return rollBackTo(deps, actor, before.id, reason ? { reason } : {})
}

/** The newest deployment before the live one that was live, was not rolled back itself, and holds another artifact. */
export async function previousVersion(
  db: ScopedClient,
  { id: environmentId, liveReleaseId, previousReleaseId }: Environment,
): Promise<Deployment | null> {
  // The version that was replaced last, even where only its variables differ: it is the one kept warm.
  const replaced = previousReleaseId && previousReleaseId !== liveReleaseId
  const last = replaced ? await db.deployment.findFirst({ where: { environmentId, releaseId: previousReleaseId, status: 'SUPERSEDED' } }) : null
  if (last) return last
  const live = liveReleaseId ? await db.release.findUnique({ where: { id: liveReleaseId }, select: { artifactId: true } }) : null
  return db.deployment.findFirst({
    where: {
      environmentId,
      status: 'SUPERSEDED',
      liveAt: { not: null },
      releaseId: { not: null },
      ...(live ? { artifactId: { not: live.artifactId } } : {}),
    },
    orderBy: { liveAt: 'desc' },
  })
}

/** Starts the live version of an environment anew, with the variables and settings of now. @throws ERR_CONFLICT when nothing is live */
export async function restartProject(deps: ReleaseDeps, actor: Actor, project: string, environmentName?: string): Promise<string> {
  const db = scopeTo(deps.prisma, actor)
  const { id: projectId } = await requireProject(db, project)
  const environment = await requireEnvironment(db, projectId, environmentName)
  const origin = environment.liveReleaseId ? await db.deployment.findFirst({ where: { releaseId: environment.liveReleaseId } }) : null
  if (!origin)
    throw new AppError('ERR_CONFLICT', `Nothing is live in ${environment.name}, so there is nothing to restart.`, { nextAction: 'Deploy first.' })
  return release(deps, db, actor, { kind: 'RESTART', origin, environment })
}

/** Releases the artifact of a deployment in another environment (default: production) with that environment's variables. */
export async function promoteDeployment(deps: ReleaseDeps, actor: Actor, deploymentId: string, environmentName?: string): Promise<string> {
  const db = scopeTo(deps.prisma, actor)
  const origin = await requireDeployment(db, deploymentId)
  const environment = await requireEnvironment(db, origin.projectId, environmentName)
  if (environment.id === origin.environmentId)
    throw new AppError('ERR_CONFLICT', `The deployment is one of ${environment.name} already.`, {
      nextAction: 'Roll back to it, or redeploy it with the variables of now.',
    })
  return release(deps, db, actor, { kind: 'PROMOTE', origin, environment })
}

/** Releases the artifact of a deployment again in its environment, with the variables and settings of now. */
export async function redeployArtifact(deps: ReleaseDeps, actor: Actor, deploymentId: string): Promise<string> {
  const db = scopeTo(deps.prisma, actor)
  const origin = await requireDeployment(db, deploymentId)
  const environment = await db.environment.findUniqueOrThrow({ where: { id: origin.environmentId } })
  return release(deps, db, actor, { kind: 'REDEPLOY', origin, environment })
}

async function requireDeployment(db: ScopedClient, id: string): Promise<Deployment> {
  const row = await db.deployment.findUnique({ where: { id } })
  if (!row) throw new AppError('ERR_NOT_FOUND', 'There is no such deployment in this team.', { nextAction: 'List the deployments to see their ids.' })
  return row
}

async function release(deps: ReleaseDeps, db: ScopedClient, actor: Actor, { kind, origin, environment, reason, within }: Wish): Promise<string> {
  const artifact = origin.artifactId ? await db.artifact.findUnique({ where: { id: origin.artifactId } }) : null
  if (!artifact || artifact.removedAt)
    throw new AppError(
      'ERR_CONFLICT',
      artifact ? 'The artifact of this deployment was removed to free disk space.' : 'This deployment made no artifact.',
      {
        nextAction: 'Deploy the same commit again: its source is built anew.',
      },
    )
  const { commitSha, commitMessage, commitAuthor, branch, framework, plan } = origin
  const what: QueuedRelease = {
    teamId: actor.teamId,
    projectId: origin.projectId,
    environmentId: environment.id,
    kind,
    artifactId: artifact.id,
    repeats: origin.id,
    framework,
    ...(plan ? { plan: plan as Prisma.InputJsonValue } : {}),
    source: origin.source as unknown as QueuedRelease['source'],
    commitSha,
    commitMessage,
    commitAuthor,
    branch,
    triggeredBy: triggerOf(actor),
    createdBy: actor.name,
    ...(reason ? { reason } : {}),
  }
  const deploymentId = await queueRelease(deps.bus, db, what, within)
  await writeAudit(db, actor, {
    action: `deployment.${kind.toLowerCase()}`,
    subject: origin.projectId,
    detail: { deployment: deploymentId, of: origin.id, environment: environment.name },
  })
  return deploymentId
}
