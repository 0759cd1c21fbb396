import type { Pool } from 'pg'
import type { z } from 'zod'
import { AppError } from '@/shared/errors'
import type { DeliveryView, deliveriesQuery, GitProvider } from '@/shared/git-events'
import { newId } from '@/shared/node/ids'
import type { Actor } from '../actor'
import { writeAudit } from '../audit/audit'
import type { PrismaClient } from '../database/client'
import type { GitDelivery } from '../database/generated/client'
import { pageArguments, pageOf, requireCursor } from '../database/page'
import { type ScopedClient, scopeTo } from '../database/scope'
import { requireProject } from '../projects/read'
import { gitEvent } from './event'
import { storeDeliveries } from './receive'

interface DeliveryDeps {
  prisma: PrismaClient
  pool: Pick<Pool, 'query'>
}

/** Deliveries of the team, newest first. @throws ERR_NOT_FOUND for another team's project */
export async function listDeliveries(
  { prisma }: DeliveryDeps,
  actor: Actor,
  { projectId, decision, ...page }: z.output<typeof deliveriesQuery>,
): Promise<{ items: DeliveryView[]; nextCursor: string | null }> {
  const db = scopeTo(prisma, actor)
  const project = projectId === undefined ? null : await requireProject(db, projectId)
  await requireCursor(page, (id) => db.gitDelivery.count({ where: { id } }))
  const found = await db.gitDelivery.findMany({
    where: { ...(project ? { projectId: project.id } : {}), ...(decision ? { decision } : {}) },
    orderBy: [{ receivedAt: 'desc' }, { id: 'desc' }],
    ...pageArguments(page),
  })
  const { rows, nextCursor } = pageOf(found, page.limit)
  return { items: rows.map(presentDelivery), nextCursor }
}

export function presentDelivery(row: GitDelivery): DeliveryView {
  const event = gitEvent.parse(row.content)
  const { id, projectId, deliveryId, decision, reason, deploymentIds, repeats, replayOf } = row
  const push = event.kind === 'push' ? event : null
  const pull = event.kind === 'pull-request' ? event : null
  return {
    ...{ id, projectId, direction: 'in', provider: row.provider as GitProvider, event: row.event, deliveryId },
    branch: push?.branch ?? pull?.headBranch ?? null,
    pullRequest: pull?.number ?? null,
    commitSha: push?.after ?? pull?.headSha ?? null,
    message: push?.message ?? pull?.title ?? null,
    author: push?.author ?? pull?.author ?? null,
    receivedAt: row.receivedAt.toISOString(),
    decidedAt: row.decidedAt?.toISOString() ?? null,
    ...{ decision, reason, deploymentIds, repeats, replayOf },
    replayable: row.subject !== null && decision !== 'pending',
    approvable: decision === 'waiting',
  }
}

async function requireDelivery(db: ScopedClient, id: string): Promise<GitDelivery> {
  const row = await db.gitDelivery.findFirst({ where: { id } })
  if (!row) throw new AppError('ERR_NOT_FOUND', 'There is no such delivery in this team.', { nextAction: 'List the deliveries to see their ids.' })
  return row
}

/** Decides about the event of a delivery once more, by the rules of now. Returns the new delivery. @throws ERR_NOT_FOUND, ERR_CONFLICT */
export async function replayDelivery(deps: DeliveryDeps, actor: Actor, id: string): Promise<DeliveryView> {
  const db = scopeTo(deps.prisma, actor)
  const row = await requireDelivery(db, id)
  if (row.subject === null || row.decision === 'pending')
    throw new AppError(
      'ERR_CONFLICT',
      row.subject === null ? 'This delivery deploys nothing, whenever it is handled.' : 'This delivery is not decided yet.',
      {
        nextAction: row.subject === null ? 'Replay the delivery of a push or of a pull request.' : 'Wait for its decision.',
      },
    )
  return again(deps, db, actor, row, 'delivery.replayed', {})
}

/** Lets the commit of a fork run in its preview: this commit, and none that follows. @throws ERR_NOT_FOUND, ERR_CONFLICT */
export async function approveDelivery(deps: DeliveryDeps, actor: Actor, id: string): Promise<DeliveryView> {
  const db = scopeTo(deps.prisma, actor)
  const row = await requireDelivery(db, id)
  if (row.decision !== 'waiting')
    throw new AppError('ERR_CONFLICT', 'This delivery waits for no approval.', { nextAction: 'Approve the newest delivery of the pull request.' })
  return again(deps, db, actor, row, 'delivery.approved', { approvedBy: actor.name })
}

/** Lets this commit run, if the preview of a fork waits with it, after the preview was approved on its own page. */
export async function approvePreview(deps: DeliveryDeps, actor: Actor, environmentId: string, commitSha: string): Promise<void> {
  const db = scopeTo(deps.prisma, actor)
  const environment = await db.environment.findFirst({ where: { id: environmentId }, select: { projectId: true, pullRequest: true } })
  if (environment?.pullRequest == null) return
  const { projectId, pullRequest } = environment
  const newest = await db.gitDelivery.findFirst({
    where: { projectId, subject: `pull:${pullRequest}`, decision: 'waiting', content: { path: ['headSha'], equals: commitSha } },
    orderBy: [{ subjectAt: 'desc' }, { receivedAt: 'desc' }],
  })
  if (newest) await again(deps, db, actor, newest, 'delivery.approved', { approvedBy: actor.name })
}

async function again(
  { pool }: DeliveryDeps,
  db: ScopedClient,
  actor: Actor,
  row: GitDelivery,
  action: string,
  approval: { approvedBy?: string },
): Promise<DeliveryView> {
  const hook = { id: row.hookId, teamId: actor.teamId, projectId: row.projectId }
  const { provider, event } = row
  const copy = { provider, event, deliveryId: `replay-${newId()}`, part: 0, content: gitEvent.parse(row.content), replayOf: row.id, ...approval }
  await writeAudit(db, actor, { action, subject: row.id, detail: { projectId: row.projectId } })
  const [stored] = await storeDeliveries(pool, hook, [copy])
  return presentDelivery(await requireDelivery(db, stored?.id ?? ''))
}
