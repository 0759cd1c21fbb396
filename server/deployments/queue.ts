import type { SourceSpec } from '@/builder/builder'
import type { DeploymentKind, Environment, Prisma } from '@/server/database/generated/client'
import { templateName } from '@/shared/environments'
import { AppError } from '@/shared/errors'
import { requestedKind } from '@/shared/events'
import { newId } from '@/shared/node/ids'
import { runningDeploymentStatuses } from '@/shared/states'
import type { ScopedClient, ScopedTransaction } from '../database/scope'
import type { ChangeBus } from '../events/bus'
import { type JobKind, jobCatalogue } from '../jobs/catalogue'
import { writeEvent } from '../outbox/write-event'

/** Source to build, and its commit details known before the fetch. */
export interface RequestedSource {
  /** Recorded without credentials: the project row holds them sealed. */
  source: SourceSpec
  branch: string | null
  repeats?: string
  commitSha?: string | null
  commitMessage?: string | null
  commitAuthor?: string | null
}

export type Trigger = 'user' | 'api' | 'system' | 'git' | 'hook'

export interface QueuedDeployment extends RequestedSource {
  teamId: string
  projectId: string
  environmentId: string
  noCache?: boolean
  triggeredBy: Trigger
  createdBy: string
}

/** A deployment that builds nothing: its release is made from the artifact of an earlier deployment. */
export interface QueuedRelease extends QueuedDeployment {
  kind: Exclude<DeploymentKind, 'BUILD'>
  artifactId: string
  repeats: string
  framework: string | null
  plan?: Prisma.InputJsonValue
  reason?: string
}

/** Gets the id of the deployment that is queued. */
export type WithinRelease = (tx: ScopedTransaction, deploymentId: string) => Promise<void>

const running = { in: runningDeploymentStatuses }

/**
 * Records a deployment that builds its source, with its job and event, in a single transaction; the commit wakes a worker.
 * @throws ERR_DEPLOYMENT_RUNNING while another deployment of the environment runs, ERR_CONFLICT when the environment is locked or closed
 */
export async function queueDeployment(bus: ChangeBus, db: ScopedClient, what: QueuedDeployment): Promise<string> {
  const id = newId()
  await db.$transaction(async (tx) => {
    const environment = await holdEnvironment(tx, what.environmentId)
    // The platform builds a lost artifact again in a locked environment too.
    if (what.triggeredBy !== 'system') refuseClosed(environment)
    const other = await tx.deployment.findFirst({ where: { environmentId: what.environmentId, status: running }, select: { id: true } })
    if (other)
      throw new AppError('ERR_DEPLOYMENT_RUNNING', `Deployment ${other.id} is running for this environment.`, {
        nextAction: `Wait until it has ended (switchyard deploy --wait-for-turn does), or cancel it: switchyard cancel ${other.id}`,
      })
    await insert(tx, id, { ...what, kind: 'BUILD' }, 'build')
  })
  await announce(bus, what, id)
  return id
}

export interface GitPush {
  teamId: string
  projectId: string
  environmentId: string
  /** Repository address without credentials; private networks as the project's creator was allowed. */
  source: Extract<SourceSpec, { kind: 'git' }>
  branch: string
  commitSha: string
  commitMessage: string | null
  commitAuthor: string | null
  triggeredBy: Extract<Trigger, 'git' | 'hook'>
  createdBy: string
}

/**
 * Queues the deployment of a branch's head behind what runs in the environment. Deployments of earlier pushes to the branch that have not
 * started are canceled; a head that is already deploying or live is not deployed again.
 * @returns the deployment of this head, `isNew` false when it existed
 * @throws ERR_CONFLICT when the environment is locked or closed, or a push meets a pause
 */
export async function queueGitDeployment(
  bus: ChangeBus,
  db: ScopedClient,
  push: GitPush,
): Promise<{ deploymentId: string; replaced: string[]; isNew: boolean }> {
  const { environmentId, branch, commitSha } = push
  const id = newId()
  const result = await db.$transaction(async (tx) => {
    const environment = await holdEnvironment(tx, environmentId)
    refuseClosed(environment)
    // The pause may have begun after the caller had looked: a push must not replace the version that a rollback brought back.
    if (push.triggeredBy === 'git') refusePaused(environment)
    const newest = await tx.deployment.findFirst({ where: { environmentId, branch, kind: 'BUILD' }, orderBy: { createdAt: 'desc' } })
    const hasBegun = newest?.status === 'ACTIVE' || (newest?.startedAt ?? null) !== null
    // A deploy hook is used when something outside of the repository has changed: a build that has begun may have read what was before.
    const isUsable = push.triggeredBy === 'git' || !hasBegun
    const isCurrent =
      newest?.commitSha === commitSha &&
      !newest.cancelRequested &&
      isUsable &&
      (newest.status === 'ACTIVE' || runningDeploymentStatuses.includes(newest.status))
    if (newest && isCurrent) return { deploymentId: newest.id, replaced: [], isNew: false }
    const older = { environmentId, branch, triggeredBy: { in: ['GIT' as const, 'HOOK' as const] } }
    const replaced = await cancelWaiting(tx, older, `A newer push to ${branch} replaced this deployment.`)
    await insert(tx, id, { ...push, kind: 'BUILD', source: { ...push.source, ref: commitSha } }, 'build')
    return { deploymentId: id, replaced, isNew: true }
  })
  for (const one of [...result.replaced, result.deploymentId]) await announce(bus, push, one)
  return result
}

/**
 * Queues a release from an existing artifact. It waits for nothing but a switch under way in the environment; a rollback or a promotion
 * cancels the builds that run there, because they would replace it.
 * `within` writes in the same transaction, with the environment's row locked; what it throws prevents the release.
 * @throws ERR_CONFLICT when the environment is locked (unless the platform itself asks) or closed
 */
export async function queueRelease(bus: ChangeBus, db: ScopedClient, what: QueuedRelease, within?: WithinRelease): Promise<string> {
  const { environmentId, kind } = what
  const id = newId()
  const queued = await db.$transaction(async (tx) => {
    const environment = await holdEnvironment(tx, environmentId)
    await within?.(tx, id)
    if (what.triggeredBy !== 'system') refuseClosed(environment)
    // A second click asks for what is queued already.
    const same = kind === 'ROLLBACK' && (await tx.deployment.findFirst({ where: { environmentId, kind, repeats: what.repeats, status: running } }))
    if (same) return { id: same.id, canceled: [] }
    const overtaken = kind === 'ROLLBACK' || kind === 'PROMOTE' ? await cancelBuilds(tx, environmentId, kind) : []
    if (kind === 'ROLLBACK')
      await tx.environment.update({
        where: { id: environmentId },
        data: { pausedAt: new Date(), pausedReason: what.reason ?? `${what.createdBy} rolled back to deployment ${what.repeats}.` },
      })
    await insert(tx, id, what, 'release')
    return { id, canceled: overtaken }
  })
  for (const one of [...queued.canceled, queued.id]) await announce(bus, what, one)
  return queued.id
}

async function cancelBuilds(tx: ScopedTransaction, environmentId: string, kind: 'ROLLBACK' | 'PROMOTE'): Promise<string[]> {
  const builds = await tx.deployment.findMany({ where: { environmentId, kind: 'BUILD', status: running }, select: { id: true } })
  const ids = builds.map((one) => one.id)
  const reason = kind === 'ROLLBACK' ? 'A rollback of this environment was asked for.' : 'Another version was promoted to this environment.'
  await requestCancel(tx, ids, reason)
  return ids
}

/** Asks for the end of these deployments: one that waits ends at once, the worker of one that runs is told by the caller's notice. */
export async function requestCancel(tx: ScopedTransaction, ids: string[], reason: string | null): Promise<void> {
  await tx.deployment.updateMany({ where: { id: { in: ids } }, data: { cancelRequested: true, ...(reason ? { reason } : {}) } })
  await cancelWaiting(tx, { id: { in: ids } }, reason)
}

/** Ends deployments that no worker has begun, each with its event. Returns their ids. */
async function cancelWaiting(tx: ScopedTransaction, which: Prisma.DeploymentWhereInput, reason: string | null): Promise<string[]> {
  const waiting = await tx.deployment.findMany({
    where: { ...which, status: 'PENDING', startedAt: null },
    select: { id: true, teamId: true, projectId: true, environmentId: true },
  })
  const canceled: string[] = []
  for (const { id, teamId, projectId, environmentId } of waiting) {
    const { count } = await tx.deployment.updateMany({
      // A worker may have begun it since it was read.
      where: { id, status: 'PENDING', startedAt: null },
      data: { status: 'CANCELED', endedAt: new Date(), cancelRequested: true, ...(reason ? { reason } : {}) },
    })
    if (count === 0) continue
    canceled.push(id)
    await writeEvent(tx, { teamId, projectId, kind: 'deployment.canceled', payload: { deploymentId: id, environmentId, code: null } })
  }
  return canceled
}

function refusePaused({ name, autoDeploy, pausedReason }: Environment): void {
  if (autoDeploy && pausedReason === null) return
  throw new AppError('ERR_CONFLICT', `Automatic deploys of ${name} are paused${pausedReason ? `: ${pausedReason}` : '.'}`, {
    nextAction: 'Resume them on the page of the environment, or deploy by hand.',
  })
}

/** Locks the environment's row until the end of the transaction: requests for one environment are judged one after the other. */
const holdEnvironment = (tx: ScopedTransaction, id: string): Promise<Environment> =>
  tx.environment.update({ where: { id }, data: { fencingToken: { increment: 0 } } })

function refuseClosed({ name, kind, lockReason, lockedBy, closedAt, fork, approvedAt }: Environment): void {
  if (kind === 'PREVIEW' && name === templateName)
    throw new AppError('ERR_CONFLICT', `The environment ${name} holds what all previews inherit: nothing is deployed to it.`, {
      nextAction: 'Deploy to production, to a custom environment, or to the preview of a pull request.',
    })
  if (closedAt)
    throw new AppError('ERR_CONFLICT', `The environment ${name} is closed.`, {
      nextAction: 'Reopen the pull request, or deploy to another environment.',
    })
  if (lockReason !== null)
    throw new AppError('ERR_CONFLICT', `${lockedBy ?? 'A member'} locked the environment ${name}: ${lockReason}`, {
      nextAction: 'Unlock it in the environment’s settings, or wait until it is unlocked.',
    })
  if (fork && !approvedAt)
    throw new AppError('ERR_CONFLICT', `The environment ${name} shows a request from a fork, which no member has approved.`, {
      nextAction: 'Read the change, then approve it on the page of the preview.',
    })
}

async function insert(
  tx: ScopedTransaction,
  id: string,
  what: QueuedDeployment & { kind: DeploymentKind },
  job: Extract<JobKind, 'build' | 'release'>,
): Promise<void> {
  const { teamId, projectId, environmentId, source, triggeredBy, ...rest } = what
  const environment = await tx.environment.findUniqueOrThrow({ where: { id: environmentId }, select: { kind: true } })
  await tx.deployment.create({
    data: {
      id,
      teamId,
      projectId,
      environmentId,
      ...rest,
      triggeredBy: triggeredBy.toUpperCase() as Uppercase<Trigger>,
      source: source as unknown as Prisma.InputJsonObject,
      ref: source.kind === 'git' ? source.ref : null,
    },
  })
  await tx.job.create({
    data: {
      kind: job,
      exclusiveKey: exclusiveKeyOf(job, environmentId),
      fairKey: teamId,
      payload: { deploymentId: id },
      maxAttempts: jobCatalogue[job].maxAttempts,
    },
  })
  const kind = requestedKind(environment.kind, what.kind === 'RESTART')
  await writeEvent(tx, { teamId, projectId, kind, payload: { deploymentId: id, environmentId, triggeredBy } })
}

/** Builds of an environment run one after the other, and so do its switches; a switch does not wait for a build. */
export const exclusiveKeyOf = (job: Extract<JobKind, 'build' | 'release'>, environmentId: string): string =>
  `${job === 'build' ? 'build' : 'environment'}:${environmentId}`

const announce = (bus: ChangeBus, { teamId, projectId }: { teamId: string; projectId: string }, id: string): Promise<void> =>
  bus.publish({ kind: 'deployment', id, teamId, projectId })
