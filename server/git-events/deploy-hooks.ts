import { randomBytes } from 'node:crypto'
import type { z } from 'zod'
import { AppError } from '@/shared/errors'
import type { DeployHookView, deployHookInput } from '@/shared/git-events'
import { newId } from '@/shared/node/ids'
import type { Actor } from '../actor'
import { prefixOf } from '../api-keys/key'
import { writeAudit } from '../audit/audit'
import type { PrismaClient } from '../database/client'
import type { DeployHook } from '../database/generated/client'
import { scopeTo } from '../database/scope'
import { requireProject } from '../projects/read'
import type { Secrets } from '../secrets/secrets'
import { short } from './event'
import type { GitEventDeps } from './ports'

/** A team needs few of them; each is a credential that somebody has to look after. */
const maxHooks = 50
const tokenPrefix = 'sydh_'
const usingMs = 15_000

export interface DeployHookDeps extends Pick<GitEventDeps, 'queue' | 'readHead'> {
  prisma: PrismaClient
  secrets: Pick<Secrets, 'fingerprint'>
  dashboardUrl: string
}

/** The form in which a token is stored and looked up. */
const hashOf = (secrets: DeployHookDeps['secrets'], token: string): string => secrets.fingerprint('deploy-hook', token)

function present(row: DeployHook, environment: string): DeployHookView {
  const { id, projectId, name, branch, prefix } = row
  return {
    id,
    projectId,
    name,
    environment,
    branch,
    prefix,
    createdAt: row.createdAt.toISOString(),
    lastUsedAt: row.lastUsedAt?.toISOString() ?? null,
  }
}

export async function listDeployHooks({ prisma }: DeployHookDeps, actor: Actor, idOrSlug: string): Promise<DeployHookView[]> {
  const db = scopeTo(prisma, actor)
  const { id: projectId } = await requireProject(db, idOrSlug)
  const rows = await db.deployHook.findMany({
    where: { projectId },
    include: { environment: { select: { name: true } } },
    orderBy: { createdAt: 'desc' },
  })
  return rows.map((row) => present(row, row.environment.name))
}

/** Returns the address with its token, which cannot be shown again. @throws ERR_NOT_FOUND, ERR_INVALID_INPUT */
export async function createDeployHook(
  { prisma, secrets, dashboardUrl }: DeployHookDeps,
  actor: Actor,
  { project, ...input }: z.output<typeof deployHookInput> & { project: string },
): Promise<DeployHookView & { url: string }> {
  const db = scopeTo(prisma, actor)
  const { id: projectId } = await requireProject(db, project)
  const environment = await db.environment.findFirst({ where: { projectId, name: input.environment }, select: { id: true, name: true } })
  if (!environment)
    throw new AppError('ERR_NOT_FOUND', `The project has no environment ${input.environment}.`, {
      nextAction: 'Use one of its environments, such as production.',
    })
  if ((await db.deployHook.count({ where: { projectId } })) >= maxHooks)
    throw new AppError('ERR_INVALID_INPUT', `A project has at most ${maxHooks} deploy hooks.`, {
      nextAction: 'Remove one that is not used any more.',
    })
  const token = tokenPrefix + randomBytes(32).toString('base64url')
  const row = await db.$transaction(async (tx) => {
    const created = await tx.deployHook.create({
      data: {
        ...{ id: newId(), teamId: actor.teamId, projectId, environmentId: environment.id, name: input.name, branch: input.branch ?? null },
        ...{ prefix: prefixOf(token), hash: hashOf(secrets, token), createdBy: actor.name },
      },
    })
    await writeAudit(tx, actor, { action: 'deploy-hook.created', subject: created.id, detail: { name: input.name, projectId } })
    return created
  })
  return { ...present(row, environment.name), url: `${dashboardUrl}/api/v1/hooks/${token}` }
}

export async function removeDeployHook({ prisma }: DeployHookDeps, actor: Actor, id: string): Promise<void> {
  await scopeTo(prisma, actor).$transaction(async (tx) => {
    const row = await tx.deployHook.findFirst({ where: { id } })
    if (!row) throw new AppError('ERR_NOT_FOUND', 'There is no such deploy hook in this team.')
    await tx.deployHook.deleteMany({ where: { id } })
    await writeAudit(tx, actor, { action: 'deploy-hook.removed', subject: id, detail: { name: row.name, projectId: row.projectId } })
  })
}

/** Id of the deploy hook that the token opens. @throws ERR_NOT_FOUND */
export async function findDeployHook({ prisma, secrets }: Pick<DeployHookDeps, 'prisma' | 'secrets'>, token: string): Promise<DeployHook> {
  const row =
    token.startsWith(tokenPrefix) && token.length <= 200 ? await prisma.deployHook.findUnique({ where: { hash: hashOf(secrets, token) } }) : null
  if (!row)
    throw new AppError('ERR_NOT_FOUND', 'There is no deploy hook at this address.', { nextAction: 'Create one in the settings of the project.' })
  return row
}

/** Deploys the head of the hook's branch. A person asked for it: paused automatic deploys and an equal live commit do not matter. */
export async function useDeployHook(deps: DeployHookDeps, hook: DeployHook): Promise<{ deploymentId: string; branch: string; commitSha: string }> {
  const { prisma, queue, readHead } = deps
  const db = scopeTo(prisma, hook)
  const project = await db.project.findUniqueOrThrow({ where: { id: hook.projectId } })
  const environment = await db.environment.findUniqueOrThrow({ where: { id: hook.environmentId } })
  const wanted = hook.branch ?? environment.branch ?? (environment.kind === 'PRODUCTION' ? project.branch : null)
  const head = await readHead(project, wanted, AbortSignal.timeout(usingMs))
  const branch = wanted ?? head?.branch
  if (!head || !branch)
    throw new AppError('ERR_SOURCE', `The repository has no branch ${wanted ?? 'to deploy'}.`, {
      step: 'source',
      nextAction: 'Push the branch, or change the deploy hook.',
    })
  const { deploymentId } = await queue({
    ...{ teamId: hook.teamId, projectId: hook.projectId, environmentId: hook.environmentId, branch, commitSha: head.sha },
    ...{ commitMessage: null, commitAuthor: null, triggeredBy: 'hook', createdBy: `deploy hook ${hook.name}` },
  })
  await db.deployHook.updateMany({ where: { id: hook.id }, data: { lastUsedAt: new Date() } })
  await db.auditEntry.create({
    data: {
      ...{ teamId: hook.teamId, actorId: hook.id, actorName: `deploy hook ${hook.name}`, action: 'deploy-hook.used', subject: hook.projectId },
      detail: { deploymentId, branch, commitSha: short(head.sha) },
    },
  })
  return { deploymentId, branch, commitSha: head.sha }
}
