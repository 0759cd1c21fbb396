import type { Project } from '@/server/database/generated/client'
import { elsewhereOf } from '@/shared/build-plan'
import { AppError } from '@/shared/errors'
import { readRuntimeSettings } from '@/shared/runtime-settings'
import type { DeploymentSummary, ProjectView } from '@/shared/views'
import type { Actor } from '../actor'
import type { Page } from '../database/page'
import { pageArguments, pageOf, requireCursor } from '../database/page'
import { type ScopedClient, scopeTo } from '../database/scope'
import { type Edge, presentSummary, projectUrl, summaryInclude } from '../deployments/present'
import { notLive, readHealth } from '../instances/health'
import { readProblems } from '../routes/problem-record'
import { authorize } from '../teams/policy'
import type { ProjectDeps } from './deps'

/** Finds a project by id or slug. @throws ERR_NOT_FOUND, also for another team's project */
export async function requireProject(db: ScopedClient, idOrSlug: string): Promise<Project> {
  const row = await db.project.findFirst({ where: { OR: [{ id: idOrSlug }, { slug: idOrSlug }] } })
  if (!row)
    throw new AppError('ERR_NOT_FOUND', `There is no project "${idOrSlug}" in this team.`, { nextAction: 'List the projects to see their names.' })
  return row
}

export async function listProjects(deps: ProjectDeps, actor: Actor): Promise<ProjectView[]> {
  authorize(actor, 'project.read')
  const db = scopeTo(deps.prisma, actor)
  return present(db, await db.project.findMany({ orderBy: { createdAt: 'desc' } }), deps.edge)
}

export async function pageOfProjects(deps: ProjectDeps, actor: Actor, page: Page): Promise<{ items: ProjectView[]; nextCursor: string | null }> {
  authorize(actor, 'project.read')
  const db = scopeTo(deps.prisma, actor)
  await requireCursor(page, (id) => db.project.count({ where: { id } }))
  const found = await db.project.findMany({ orderBy: [{ createdAt: 'desc' }, { id: 'desc' }], ...pageArguments(page) })
  const { rows, nextCursor } = pageOf(found, page.limit)
  return { items: await present(db, rows, deps.edge), nextCursor }
}

export async function getProject(deps: ProjectDeps, actor: Actor, idOrSlug: string): Promise<ProjectView> {
  authorize(actor, 'project.read')
  const db = scopeTo(deps.prisma, actor)
  return presentOne(db, await requireProject(db, idOrSlug), deps.edge)
}

export async function presentOne(db: ScopedClient, row: Project, edge: Edge): Promise<ProjectView> {
  const [view] = await present(db, [row], edge)
  if (!view) throw new AppError('ERR_INTERNAL', 'A project vanished while it was read.')
  return view
}

/** Builds the views with five queries for any number of projects, including live and latest deployments and health. */
async function present(db: ScopedClient, rows: Project[], edge: Edge): Promise<ProjectView[]> {
  const projectIds = rows.map((row) => row.id)
  const [environments, newest] = await Promise.all([
    db.environment.findMany({
      where: { projectId: { in: projectIds }, kind: 'PRODUCTION', liveReleaseId: { not: null } },
      select: { liveReleaseId: true },
    }),
    db.deployment.groupBy({ by: ['projectId'], where: { projectId: { in: projectIds } }, _max: { createdAt: true } }),
  ])
  const liveReleases = environments.flatMap((environment) => environment.liveReleaseId ?? [])
  const latestOnes = newest.flatMap(({ projectId, _max }) => (_max.createdAt ? [{ projectId, createdAt: _max.createdAt }] : []))
  const [live, latest, health] = await Promise.all([
    liveReleases.length ? db.deployment.findMany({ where: { releaseId: { in: liveReleases } }, include: summaryInclude }) : [],
    latestOnes.length ? db.deployment.findMany({ where: { OR: latestOnes }, include: summaryInclude }) : [],
    readHealth(db, liveReleases),
  ])
  const summaries = (found: typeof live) => new Map<string, DeploymentSummary>(found.map((row) => [row.projectId, presentSummary(row, edge, health)]))
  const liveOf = summaries(live)
  const latestOf = summaries(latest)
  return rows.map((row) => presentProject(row, liveOf.get(row.id) ?? null, latestOf.get(row.id) ?? null, edge))
}

function presentProject(row: Project, liveDeployment: DeploymentSummary | null, latestDeployment: DeploymentSummary | null, edge: Edge): ProjectView {
  const { id, name, slug, branch, rootDirectory, installCommand, buildCommand, startCommand, outputDirectory, healthCheckPath, framework } = row
  return {
    id,
    name,
    slug,
    url: projectUrl(slug, edge),
    repository: row.repository,
    repositoryCredentials: row.repositoryCredentials !== null,
    branch,
    rootDirectory,
    installCommand,
    buildCommand,
    startCommand,
    outputDirectory,
    submodules: elsewhereOf(row.submodules),
    lfs: elsewhereOf(row.lfs),
    healthCheckPath,
    runtimeSettings: readRuntimeSettings(row.runtimeSettings),
    framework,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
    health: liveDeployment?.health ?? notLive,
    liveDeployment,
    latestDeployment,
    edgeProblems: readProblems(row.edgeProblems),
  }
}
