import type { PrismaClient } from '@/server/database/generated/client'
import { deploymentHost, projectHost } from '@/shared/naming'
import type { Route, Target } from '@/shared/route-table'

/** Deployments that keep a hostname of their own after they have stopped, so that their page says so. */
const rememberedDeployments = 20

export interface Candidate {
  environmentId: string
  /** Taken for the live release although the record does not say so yet; null: nothing is live. */
  releaseId: string | null
}

interface ProjectRow {
  id: string
  teamId: string
  name: string
  slug: string
}

/**
 * Every route there should be, from the record alone. With `candidates`, an environment is routed as if its pointer stood on the
 * candidate: its other instances get no new requests, neither by the project's hostname nor by their own.
 */
export async function computeRoutes(prisma: PrismaClient, baseDomain: string, candidates: readonly Candidate[]): Promise<Route[]> {
  const [projects, environments, instances, deployments] = await Promise.all([
    prisma.project.findMany({ select: { id: true, teamId: true, name: true, slug: true }, orderBy: { slug: 'asc' } }),
    prisma.environment.findMany({ where: { kind: 'PRODUCTION' }, select: { id: true, projectId: true, liveReleaseId: true } }),
    prisma.instance.findMany({
      where: { state: { notIn: ['stopped', 'draining'] }, host: { not: null }, port: { not: null } },
      select: { id: true, environmentId: true, releaseId: true, deploymentId: true, state: true, host: true, port: true },
      orderBy: { id: 'asc' },
    }),
    recentDeployments(prisma),
  ])
  const wanted = new Map(candidates.map((c) => [c.environmentId, c.releaseId]))
  const serving = instances.filter((i) => {
    const candidate = wanted.get(i.environmentId)
    if (candidate !== undefined) return i.releaseId === candidate
    return i.state !== 'starting'
  })
  const environmentOf = new Map(environments.map((e) => [e.projectId, e]))
  const deploymentsOf = Map.groupBy(deployments, (d) => d.projectId)
  return projects.flatMap((project) => {
    const environment = environmentOf.get(project.id)
    const liveRelease = environment ? (wanted.has(environment.id) ? wanted.get(environment.id) : environment.liveReleaseId) : null
    const own = deploymentsOf.get(project.id) ?? []
    const live = serving.filter((i) => liveRelease && i.releaseId === liveRelease)
    const failed = own[0]?.status === 'FAILED'
    return [
      route(
        project,
        projectHost(project.slug, baseDomain),
        live[0]?.deploymentId ?? null,
        live.map(target),
        liveRelease ? 'stopped' : failed ? 'failed' : 'not-deployed',
      ),
      ...own.map((d) => {
        const targets = serving.filter((i) => i.deploymentId === d.id).map(target)
        return route(project, deploymentHost(project.slug, d.id, baseDomain), d.id, targets, d.status === 'FAILED' ? 'failed' : 'stopped')
      }),
    ]
  })
}

const target = (instance: { id: string; host: string | null; port: number | null }): Target => ({
  instanceId: instance.id,
  host: instance.host ?? '',
  port: instance.port ?? 0,
})

function route(project: ProjectRow, host: string, deploymentId: string | null, targets: Target[], otherwise: Route['state']): Route {
  return {
    host,
    teamId: project.teamId,
    projectId: project.id,
    projectName: project.name,
    deploymentId,
    state: targets.length > 0 ? 'live' : otherwise,
    targets,
  }
}

function recentDeployments(prisma: PrismaClient): Promise<{ id: string; projectId: string; status: string }[]> {
  return prisma.$queryRaw`
    SELECT "id", "projectId", "status"::text FROM (
      SELECT "id", "projectId", "status", "createdAt", row_number() OVER (PARTITION BY "projectId" ORDER BY "createdAt" DESC) AS n FROM "Deployment") d
    WHERE n <= ${rememberedDeployments} ORDER BY "createdAt" DESC`
}
