import type { PrismaClient } from '@/server/database/generated/client'
import { templateName } from '@/shared/environments'
import { deploymentHost, environmentHost } from '@/shared/naming'
import type { Route, StaticContent, Target } from '@/shared/route-table'
import { instanceStates } from '@/shared/states'
import { contentSpec, type StaticContents } from '../static-content/static-content'
import { domainRoutes, type PlannedRoute, type VisiblePorts } from './domains'
import { FoundProblems } from './problems'

const routedInstances = instanceStates.filter((state) => state !== 'stopped' && state !== 'draining')
/** Stopped deployments per project that keep their hostname, which shows a page that says so. */
const rememberedDeployments = 20

export interface Candidate {
  environmentId: string
  /** Routed as the live release before the database records it; null: no release is live. */
  releaseId: string | null
}

interface ProjectRow {
  id: string
  teamId: string
  name: string
  slug: string
}

/**
 * Computes all routes from the database. An environment with a candidate is routed as if the candidate were its live release: its other
 * instances get no new requests, neither on the project's hostname nor on their own hostnames.
 */
export async function computeRoutes(
  prisma: PrismaClient,
  baseDomain: string,
  candidates: readonly Candidate[],
  ports: VisiblePorts = { http: 80, https: null },
  contents: Pick<StaticContents, 'locate'> | null = null,
  problems: FoundProblems = new FoundProblems(),
): Promise<PlannedRoute[]> {
  const [projects, environments, instances, deployments] = await Promise.all([
    prisma.project.findMany({ select: { id: true, teamId: true, name: true, slug: true }, orderBy: { slug: 'asc' } }),
    prisma.environment.findMany({
      where: { closedAt: null },
      select: { id: true, projectId: true, kind: true, name: true, slug: true, liveReleaseId: true },
      orderBy: { slug: 'asc' },
    }),
    startedInstances(prisma),
    recentDeployments(prisma),
  ])
  const wanted = new Map(candidates.map((c) => [c.environmentId, c.releaseId]))
  const liveReleases = new Set(environments.flatMap((e) => e.liveReleaseId ?? []))
  const serving = instances.filter((i) => {
    const candidate = wanted.get(i.environmentId)
    if (candidate !== undefined) return i.releaseId === candidate
    return i.state !== 'starting' && (i.state !== 'sleeping' || liveReleases.has(i.releaseId))
  })
  const current = environments.map((e) => ({ ...e, liveReleaseId: wanted.has(e.id) ? (wanted.get(e.id) ?? null) : e.liveReleaseId }))
  const files = await liveFiles(prisma, current, contents, problems)
  const environmentsOf = Map.groupBy(current, (e) => e.projectId)
  const deploymentsOf = Map.groupBy(deployments, (d) => d.projectId)
  const routes = projects.flatMap((project) => {
    const all = deploymentsOf.get(project.id) ?? []
    const ofEnvironments = (environmentsOf.get(project.id) ?? []).filter(isRouted).map((environment) => {
      const liveRelease = environment.liveReleaseId
      const liveContent = files.get(liveRelease ?? '')
      const live = serving.filter((i) => liveRelease && i.releaseId === liveRelease)
      const failed = all.find((d) => d.environmentId === environment.id)?.status === 'FAILED'
      return route(
        project,
        environment.id,
        environmentHost(environment.slug, baseDomain),
        liveContent?.deploymentId ?? live[0]?.deploymentId ?? null,
        live.map(target),
        // A live release without an instance has crashed, or its engine is unavailable; the monitor restarts it.
        liveRelease ? 'live' : failed ? 'failed' : 'not-deployed',
        liveContent?.content,
      )
    })
    const currentReleases = new Set((environmentsOf.get(project.id) ?? []).flatMap((e) => e.liveReleaseId ?? []))
    return [
      ...ofEnvironments,
      ...all.map((d) => {
        const targets = serving.filter((i) => i.deploymentId === d.id).map(target)
        const content = files.get(d.releaseId ?? '')?.content
        const isLive = d.releaseId !== null && currentReleases.has(d.releaseId)
        const state = isLive ? 'live' : d.status === 'FAILED' ? 'failed' : 'stopped'
        return route(project, d.environmentId, deploymentHost(project.slug, d.id, baseDomain), d.id, targets, state, content)
      }),
    ]
  })
  const own = new Set(routes.map(({ host }) => host))
  const domains = await domainRoutes(prisma, { baseDomain, projects, routes, environments: current, deployments }, ports)
  // After a change of the base domain a platform host may equal a custom domain; routers refuse a table with duplicate hosts.
  return [...routes, ...domains.filter(({ host }) => !own.has(host))]
}

/** Nothing is deployed to the environment of all previews, so it has no hostname. */
const isRouted = ({ kind, name }: { kind: string; name: string }): boolean => !(kind === 'PREVIEW' && name === templateName)

const target = ({ id, host, port }: { id: string; host: string; port: number }): Target => ({ instanceId: id, host, port })

/** Static files of live releases that are unpacked on disk, by release id. */
async function liveFiles(
  prisma: PrismaClient,
  environments: readonly { liveReleaseId: string | null }[],
  contents: Pick<StaticContents, 'locate'> | null,
  problems: FoundProblems,
): Promise<Map<string, { deploymentId: string; content: StaticContent }>> {
  const files = new Map<string, { deploymentId: string; content: StaticContent }>()
  if (!contents) return files
  const ids = environments.flatMap((e) => e.liveReleaseId ?? [])
  const releases = await prisma.release.findMany({
    where: { id: { in: ids } },
    select: { id: true, teamId: true, projectId: true, deploymentId: true, artifact: { select: { digest: true, content: true } } },
  })
  for (const { id, teamId, projectId, deploymentId, artifact } of releases) {
    const content = located(artifact, contents)
    if (content === 'unreadable')
      problems.add({
        ...{ teamId, projectId, deploymentId, host: null, origin: 'record', effect: 'left-out' },
        message: 'Where the files of the live deployment are cannot be read, so they are not served.',
        nextAction: 'Deploy again.',
      })
    else if (content) files.set(id, { deploymentId, content })
  }
  return files
}

function located(artifact: { digest: string; content: unknown }, contents: Pick<StaticContents, 'locate'>): StaticContent | 'unreadable' | null {
  try {
    const spec = contentSpec(artifact)
    return spec && contents.locate(artifact.digest, spec)
  } catch {
    // Invalid digest: one bad row must not affect the routes of other projects.
    return 'unreadable'
  }
}

function route(
  project: ProjectRow,
  environmentId: string,
  host: string,
  deploymentId: string | null,
  targets: Target[],
  otherwise: Route['state'],
  content?: StaticContent,
): PlannedRoute {
  return {
    host,
    teamId: project.teamId,
    projectId: project.id,
    environmentId,
    projectName: project.name,
    deploymentId,
    state: targets.length > 0 || content ? 'live' : otherwise,
    targets,
    ...(content ? { content } : {}),
  }
}

interface DeploymentRow {
  id: string
  projectId: string
  environmentId: string
  status: string
  branch: string | null
  releaseId: string | null
}

/** Instances that can receive requests. */
async function startedInstances(prisma: PrismaClient) {
  const instances = await prisma.instance.findMany({
    where: { state: { in: [...routedInstances] }, host: { not: null }, port: { not: null } },
    select: { id: true, environmentId: true, releaseId: true, deploymentId: true, state: true, host: true, port: true },
    orderBy: { id: 'asc' },
  })
  return instances.flatMap(({ host, port, ...instance }) => (host === null || port === null ? [] : [{ ...instance, host, port }]))
}

/** The newest deployments of each project and all that still serve, however many failed since. */
function recentDeployments(prisma: PrismaClient): Promise<DeploymentRow[]> {
  return prisma.$queryRaw`
    SELECT "id", "projectId", "environmentId", "status"::text, "branch", "releaseId" FROM (
      SELECT "id", "projectId", "environmentId", "status", "branch", "releaseId", "createdAt", row_number() OVER (PARTITION BY "projectId" ORDER BY "createdAt" DESC) AS n FROM "Deployment") d
    WHERE n <= ${rememberedDeployments}
      OR "releaseId" IN (SELECT "liveReleaseId" FROM "Environment")
      OR "id" IN (SELECT "deploymentId" FROM "Instance" WHERE "state"::text = ANY(${routedInstances}))
    ORDER BY "createdAt" DESC`
}
