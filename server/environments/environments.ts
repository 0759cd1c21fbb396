import type { z } from 'zod'
import { type Environment, Prisma, type PrismaClient, type Project } from '@/server/database/generated/client'
import { type EnvironmentView, type environmentInput, type environmentPatch, templateName } from '@/shared/environments'
import { AppError } from '@/shared/errors'
import { environmentHost, hostUrl, pullRequestSlug } from '@/shared/naming'
import { newId } from '@/shared/node/ids'
import { patchRuntimeSettings } from '@/shared/runtime-settings'
import { runningDeploymentStatuses } from '@/shared/states'
import type { Actor } from '../actor'
import { writeAudit } from '../audit/audit'
import { isUniqueViolation } from '../database/client'
import { type ScopedClient, scopeTo } from '../database/scope'
import { type Edge, liveReleasesOf, presentSummary, summaryInclude } from '../deployments/present'
import { requestCancel } from '../deployments/queue'
import { previousVersion } from '../deployments/release'
import type { ChangeBus } from '../events/bus'
import { readHealth } from '../instances/health'
import { jobCatalogue } from '../jobs/catalogue'
import { requireProject } from '../projects/read'
import { isFree } from '../projects/slug'
import { protectionOf } from './protection'
import { requireEnvironment, requireEnvironmentById } from './read'
import { settingsOf, settingsSelect } from './settings'

export interface EnvironmentDeps {
  prisma: PrismaClient
  bus: Pick<ChangeBus, 'publish'>
  edge: Edge
  /** Publishes the routes after an environment came, or went. */
  routesChanged: () => Promise<void>
}

/** Custom environments and open previews per project: each is a row of the route table. */
const maxEnvironments = 200
const day = 86_400_000
const previewDays = 14
/** RFC 1035 §2.3.4. */
const maxHostLabel = 63

export interface Environments {
  /** Open environments, production first, then custom ones, then previews; with `closed`, also those that were closed. */
  list(actor: Actor, project: string, options?: { closed?: boolean }): Promise<EnvironmentView[]>
  get(actor: Actor, environmentId: string): Promise<EnvironmentView>
  /** @throws ERR_CONFLICT when an open environment has this name */
  create(actor: Actor, project: string, input: z.output<typeof environmentInput>): Promise<EnvironmentView>
  update(actor: Actor, environmentId: string, patch: z.output<typeof environmentPatch>): Promise<EnvironmentView>
  /** Stops what runs in a preview or a custom environment and takes it off the routers. Its history stays. */
  close(actor: Actor, environmentId: string): Promise<void>
  /** Lets a commit of a fork's request run. @throws ERR_CONFLICT when it is not the one that waits: a newer one may have been pushed */
  approve(actor: Actor, environmentId: string, commitSha: string | null): Promise<EnvironmentView>
}

/** Use-cases of environments. */
export function createEnvironments(deps: EnvironmentDeps): Environments {
  const { prisma, bus } = deps
  const announce = (actor: { teamId: string }, projectId: string) => bus.publish({ kind: 'project', id: projectId, teamId: actor.teamId, projectId })
  const view = async (db: ScopedClient, id: string) => {
    const [found] = await present(db, deps.edge, [await requireEnvironmentById(db, id)])
    if (!found) throw new AppError('ERR_NOT_FOUND', 'There is no such environment in this team.')
    return found
  }
  return {
    async list(actor, project, { closed = false } = {}) {
      const db = scopeTo(prisma, actor)
      const { id: projectId } = await requireProject(db, project)
      const rows = await db.environment.findMany({
        where: { projectId, ...(closed ? {} : { closedAt: null }) },
        orderBy: [{ kind: 'asc' }, { createdAt: 'desc' }],
      })
      return present(db, deps.edge, rows)
    },
    get: (actor, id) => view(scopeTo(prisma, actor), id),
    async create(actor, project, { name, branch }) {
      const db = scopeTo(prisma, actor)
      const row = await requireProject(db, project)
      const slug = `${row.slug}-${name}`
      await refuseTakenLabel(prisma, row.id, slug)
      const { id } = await openEnvironment(db, row, { name, kind: 'CUSTOM', branch: branch || null, slug })
      await writeAudit(db, actor, { action: 'environment.created', subject: row.id, detail: { environment: name } })
      await announce(actor, row.id)
      await deps.routesChanged()
      return view(db, id)
    },
    async update(actor, id, { branch, autoDeploy, lock, runtimeSettings, protection }) {
      const db = scopeTo(prisma, actor)
      const before = await requireEnvironmentById(db, id)
      const settings = runtimeSettings && patchRuntimeSettings(before.settings, runtimeSettings)
      await db.$transaction(async (tx) => {
        await tx.environment.update({
          where: { id },
          data: {
            ...(branch === undefined ? {} : { branch: branch || null }),
            ...(autoDeploy === undefined ? {} : { autoDeploy, pausedReason: null, pausedAt: null }),
            ...(lock === undefined ? {} : { lockReason: lock, lockedBy: lock && actor.name, lockedAt: lock ? new Date() : null }),
            ...(protection === undefined ? {} : { protection }),
            ...(settings === undefined ? {} : { settings: settings ?? Prisma.DbNull }),
          },
        })
        const changed = Object.entries({ branch, autoDeploy, lock, runtimeSettings, protection }).flatMap(([field, value]) =>
          value === undefined ? [] : [field],
        )
        await writeAudit(tx, actor, { action: 'environment.updated', subject: before.projectId, detail: { environment: before.name, changed } })
      })
      await announce(actor, before.projectId)
      if (protection !== undefined) await deps.routesChanged()
      return view(db, id)
    },
    async close(actor, id) {
      const db = scopeTo(prisma, actor)
      const row = await requireEnvironmentById(db, id)
      if (row.kind === 'PRODUCTION' || row.name === templateName)
        throw new AppError('ERR_CONFLICT', `The environment ${row.name} belongs to every project and cannot be closed.`, {
          nextAction: 'Lock it to accept no deployments, or remove the project.',
        })
      await closeEnvironment(db, bus, row, `${actor.name} closed the environment.`)
      await writeAudit(db, actor, { action: 'environment.closed', subject: row.projectId, detail: { environment: row.name } })
      await deps.routesChanged()
    },
    async approve(actor, id, commitSha) {
      const db = scopeTo(prisma, actor)
      const row = await requireEnvironmentById(db, id)
      if (!row.fork) throw new AppError('ERR_CONFLICT', 'This environment does not show a request from a fork: it needs no approval.')
      const waiting = (await waitingCommits(db, [row])).get(id) ?? null
      if (waiting !== commitSha)
        throw new AppError('ERR_CONFLICT', waiting ? `The commit that waits for approval is ${waiting}.` : 'No commit waits for approval.', {
          nextAction: waiting ? 'Read this commit, then approve it.' : 'Approve the preview without naming a commit.',
        })
      // A commit that a delivery brought is approved with that delivery: the approval holds for it alone.
      if (!waiting) await db.environment.update({ where: { id }, data: { approvedBy: actor.name, approvedAt: new Date() } })
      await writeAudit(db, actor, { action: 'environment.approved', subject: row.projectId, detail: { environment: row.name } })
      await announce(actor, row.projectId)
      return view(db, id)
    },
  }
}

/** A pull or merge request. Fields that are left out keep the values of the existing preview. */
export interface PreviewRequest {
  pullRequest: number
  branch?: string
  title?: string | null
  author?: string | null
  /** The request comes from a fork: its code is not trusted. */
  fork?: boolean
}

/**
 * The preview environment of a pull or merge request: made at its first event, opened again when the request is, with a new time to live.
 * A fork's preview needs the approval of a member before `queueGitDeployment` accepts anything for it.
 */
export async function ensurePreviewEnvironment(db: ScopedClient, project: Project, request: PreviewRequest): Promise<Environment> {
  const { pullRequest, ...known } = request
  const environment = await openEnvironment(db, project, {
    name: `pr-${pullRequest}`,
    kind: 'PREVIEW',
    slug: pullRequestSlug(project.slug, pullRequest),
    pullRequest,
  })
  const expiresAt = new Date(Date.now() + previewDays * day)
  return db.environment.update({ where: { id: environment.id }, data: { ...known, expiresAt } })
}

/** Hostnames are unique on the machine: unscoped queries that tell only whether a label is taken. @throws ERR_CONFLICT */
async function refuseTakenLabel(prisma: PrismaClient, projectId: string, slug: string): Promise<void> {
  const free = await isFree(slug, {
    taken: async (candidate) => (await prisma.environment.count({ where: { slug: candidate, NOT: { projectId } } })) > 0,
    deploymentExists: async (id) => (await prisma.deployment.count({ where: { id } })) > 0,
  })
  if (free && slug.length <= maxHostLabel) return
  throw new AppError('ERR_CONFLICT', `The hostname ${slug} cannot be given to this environment.`, {
    nextAction: free ? `Choose a name that keeps it within ${maxHostLabel} characters.` : 'Choose another name.',
  })
}

interface NewEnvironment {
  name: string
  kind: Environment['kind']
  /** Left out: an environment that is opened again keeps its branch. */
  branch?: string | null
  slug: string
  pullRequest?: number
}

/** Creates the environment, or opens a closed one of the same name. @throws ERR_CONFLICT when the name of a custom one, or the hostname, is taken */
async function openEnvironment(db: ScopedClient, project: Project, { name, kind, branch, slug, pullRequest }: NewEnvironment): Promise<Environment> {
  const { id: projectId, teamId } = project
  const known = await db.environment.findFirst({ where: { projectId, name } })
  if (known && known.kind !== kind)
    throw new AppError('ERR_CONFLICT', `The project has another environment called ${name}.`, { nextAction: 'Close or rename it.' })
  if (known && kind === 'CUSTOM' && !known.closedAt)
    throw new AppError('ERR_CONFLICT', `The project has an environment ${name} already.`, { nextAction: 'Choose another name.' })
  if (known) return db.environment.update({ where: { id: known.id }, data: { closedAt: null, ...(branch === undefined ? {} : { branch }) } })
  if ((await db.environment.count({ where: { projectId, closedAt: null } })) >= maxEnvironments)
    throw new AppError('ERR_CONFLICT', `A project has at most ${maxEnvironments} open environments.`, {
      nextAction: 'Close previews that are not needed.',
    })
  const parent = kind === 'PREVIEW' ? await requireEnvironment(db, projectId, templateName) : null
  const data = {
    id: newId(),
    teamId,
    projectId,
    name,
    kind,
    branch: branch ?? null,
    slug,
    parentId: parent?.id ?? null,
    pullRequest: pullRequest ?? null,
  }
  try {
    return await db.environment.create({ data })
  } catch (error) {
    if (!isUniqueViolation(error)) throw error
    // Another event of the same request came first, or another project has the hostname.
    const other = await db.environment.findFirst({ where: { projectId, name } })
    if (other && kind !== 'CUSTOM') return other
    throw new AppError('ERR_CONFLICT', `The hostname ${slug} is taken.`, { nextAction: 'Choose another name.' })
  }
}

/**
 * Closes an environment: cancels its deployments, takes away its live version and keeps nothing of it warm. The monitor ends its instances.
 * Idempotent.
 */
export async function closeEnvironment(db: ScopedClient, bus: Pick<ChangeBus, 'publish'>, environment: Environment, reason: string): Promise<void> {
  const { id: environmentId, teamId, projectId } = environment
  const running = { environmentId, status: { in: runningDeploymentStatuses } }
  const canceled = await db.deployment.findMany({ where: running, select: { id: true } })
  await db.$transaction(async (tx) => {
    await tx.environment.update({
      where: { id: environmentId },
      data: { closedAt: environment.closedAt ?? new Date(), liveReleaseId: null, previousReleaseId: null },
    })
    await tx.release.updateMany({ where: { environmentId }, data: { wanted: 'stopped', warmUntil: null } })
    await requestCancel(
      tx,
      canceled.map(({ id }) => id),
      reason,
    )
    await tx.deployment.updateMany({
      where: { environmentId, status: 'ACTIVE' },
      data: { status: 'SUPERSEDED', endedAt: new Date(), watchUntil: null, reason },
    })
    // Its artifacts are not kept for a rollback any more.
    await tx.job.create({ data: { kind: 'prune', fairKey: teamId, payload: { projectId }, maxAttempts: jobCatalogue.prune.maxAttempts } })
  })
  for (const { id } of canceled) await bus.publish({ kind: 'deployment', id, teamId, projectId })
  await bus.publish({ kind: 'project', id: projectId, teamId, projectId })
}

/** The newest commit of each fork's request that waits for approval, by environment. */
async function waitingCommits(db: ScopedClient, rows: Environment[]): Promise<Map<string, string>> {
  const waiting = rows.filter(({ fork, approvedAt, pullRequest }) => fork && !approvedAt && pullRequest !== null)
  const found = await Promise.all(
    waiting.map(async ({ id, projectId, pullRequest }) => {
      const newest = await db.gitDelivery.findFirst({
        where: { projectId, subject: `pull:${pullRequest}`, decision: 'waiting' },
        orderBy: [{ subjectAt: 'desc' }, { receivedAt: 'desc' }],
        select: { content: true },
      })
      const headSha = (newest?.content as { headSha?: string } | null | undefined)?.headSha
      return headSha ? ([id, headSha] as const) : null
    }),
  )
  return new Map(found.filter((one) => one !== null))
}

async function present(db: ScopedClient, edge: Edge, rows: Environment[]): Promise<EnvironmentView[]> {
  const ids = rows.map(({ id }) => id)
  const [layers, latestAt, ...previous] = await Promise.all([
    db.environment.findMany({
      where: { id: { in: ids } },
      select: {
        id: true,
        ...settingsSelect,
        parent: { select: { settings: true, protection: true } },
        project: { select: { slug: true, runtimeSettings: true } },
      },
    }),
    db.deployment.groupBy({ by: ['environmentId'], where: { environmentId: { in: ids } }, _max: { createdAt: true } }),
    ...rows.map((row) => (row.kind === 'PREVIEW' && row.liveReleaseId === null ? null : previousVersion(db, row))),
  ])
  const latestOnes = latestAt.flatMap(({ environmentId, _max }) => (_max.createdAt ? [{ environmentId, createdAt: _max.createdAt }] : []))
  const newest = latestOnes.length ? await db.deployment.findMany({ where: { OR: latestOnes }, include: summaryInclude }) : []
  const liveReleases = rows.flatMap(({ liveReleaseId }) => liveReleaseId ?? [])
  const others = await db.deployment.findMany({
    where: { OR: [{ releaseId: { in: liveReleases } }, { id: { in: previous.flatMap((one) => one?.id ?? []) } }] },
    include: summaryInclude,
  })
  const commits = await waitingCommits(db, rows)
  const health = await readHealth(db, liveReleasesOf([...newest, ...others]))
  const summary = (row: (typeof others)[number] | undefined) => (row ? presentSummary(row, edge, health) : null)
  return rows.map((row, index) => {
    const layer = layers.find(({ id }) => id === row.id)
    const isTemplate = row.kind === 'PREVIEW' && row.name === templateName
    const live = others.find(({ releaseId }) => releaseId !== null && releaseId === row.liveReleaseId)
    return {
      id: row.id,
      projectId: row.projectId,
      projectSlug: layer?.project.slug ?? '',
      name: row.name,
      kind: row.kind.toLowerCase() as Lowercase<typeof row.kind>,
      template: isTemplate,
      url: isTemplate || row.closedAt ? null : hostUrl(environmentHost(row.slug, edge.baseDomain), edge),
      branch: row.branch,
      pullRequest: row.pullRequest,
      title: row.title,
      author: row.author,
      fork: row.fork,
      waitingCommit: commits.get(row.id) ?? null,
      approval: row.approvedBy && row.approvedAt ? { by: row.approvedBy, at: row.approvedAt.toISOString() } : null,
      autoDeploy: row.autoDeploy,
      paused: row.pausedReason && row.pausedAt ? { reason: row.pausedReason, at: row.pausedAt.toISOString() } : null,
      lock: row.lockReason && row.lockedAt ? { reason: row.lockReason, by: row.lockedBy ?? '', at: row.lockedAt.toISOString() } : null,
      runtimeSettings: settingsOf(layer ?? { settings: row.settings, parent: null, project: { runtimeSettings: null } }),
      ownSettings: Object.keys((row.settings as object | null) ?? {}),
      protection: protectionOf({ ...row, parent: layer?.parent ?? null }),
      ownProtection: row.protection !== null,
      expiresAt: row.expiresAt?.toISOString() ?? null,
      closedAt: row.closedAt?.toISOString() ?? null,
      createdAt: row.createdAt.toISOString(),
      liveDeployment: summary(live),
      latestDeployment: summary(newest.find(({ environmentId }) => environmentId === row.id)),
      rollbackTo: summary(others.find(({ id }) => id === previous[index]?.id)),
    }
  })
}
