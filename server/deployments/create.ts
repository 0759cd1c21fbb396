import type { z } from 'zod'
import type { SourceSpec } from '@/builder/builder'
import type { Environment, PrismaClient, Project } from '@/server/database/generated/client'
import { AppError } from '@/shared/errors'
import type { deploymentInput } from '@/shared/views'
import type { BlobStore } from '@/storage/blob-store'
import type { Actor } from '../actor'
import { type ScopedClient, scopeTo } from '../database/scope'
import { ensurePreviewEnvironment } from '../environments/environments'
import { requireEnvironment } from '../environments/read'
import type { ChangeBus } from '../events/bus'
import { queueDeployment, type RequestedSource } from './queue'

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
  const { environment, what } = input.pullRequest
    ? await forPullRequest(deps.storage, db, project, { ...input, pullRequest: input.pullRequest })
    : await forEnvironment(deps.storage, db, project, input)
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

interface Target {
  environment: Environment
  what: RequestedSource
}

async function forEnvironment(storage: BlobStore, db: ScopedClient, project: Project, input: Input): Promise<Target> {
  const environment = await requireEnvironment(db, project.id, input.environment ?? (await repeatedEnvironment(db, project, input)))
  return { environment, what: await sourceOf(storage, db, { ...project, branch: environment.branch ?? project.branch }, input) }
}

/** A deployment is repeated where it was: that of a preview never reaches production by this way. */
async function repeatedEnvironment(db: ScopedClient, { id: projectId }: Project, { repeat }: Input): Promise<string | undefined> {
  if (!repeat) return undefined
  return (await db.deployment.findFirst({ where: { id: repeat, projectId }, select: { environmentId: true } }))?.environmentId
}

/**
 * Opens the preview of the pull request after its source was found. The caller vouches for the code; a preview that a Git event has marked
 * as a fork's still needs the approval of a member.
 */
async function forPullRequest(storage: BlobStore, db: ScopedClient, project: Project, input: Input & { pullRequest: number }): Promise<Target> {
  const { pullRequest } = input
  const known = await db.environment.findFirst({ where: { projectId: project.id, pullRequest }, select: { branch: true } })
  const branch = input.branch ?? known?.branch ?? null
  if (!branch && !input.source && !input.ref && !input.repeat)
    throw new AppError('ERR_INVALID_INPUT', `The branch of pull request ${pullRequest} is not known.`, {
      nextAction: 'Give branch, or a source to deploy.',
    })
  const what = await sourceOf(storage, db, { ...project, branch }, input)
  const described = {
    ...(branch ? { branch } : {}),
    ...(input.title ? { title: input.title } : {}),
    ...(input.author ? { author: input.author } : {}),
  }
  const environment = await ensurePreviewEnvironment(db, project, { pullRequest, ...described })
  return { environment, what: { ...what, branch: what.branch ?? branch } }
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
