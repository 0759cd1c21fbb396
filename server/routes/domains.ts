import type { PrismaClient } from '@/server/database/generated/client'
import { domainTraits } from '@/shared/domains'
import { deploymentHost, environmentHost, hostUrl } from '@/shared/naming'
import type { Route } from '@/shared/route-table'
import { covers, usableCertificate } from '../domains/covers'

/** Ports in public URLs; `https` null: HTTPS is off. */
export interface VisiblePorts {
  http: number
  https: number | null
}

/** A route with the environment whose rules apply to it; routers need not know it. */
export interface PlannedRoute extends Route {
  environmentId: string
}

/** Routes of the platform's own hosts. A domain's route is a copy of one of them, with its policy and content. */
export interface OwnHosts {
  baseDomain: string
  projects: readonly { id: string; slug: string }[]
  /** Routes of projects and deployments. */
  routes: readonly PlannedRoute[]
  environments: readonly { id: string; slug: string; liveReleaseId: string | null }[]
  /** Newest first. */
  deployments: readonly { id: string; environmentId: string; branch: string | null; releaseId: string | null }[]
}

interface DomainRow {
  teamId: string
  hostname: string
  projectId: string
  environmentId: string
  branch: string | null
  redirectTo: string | null
  certificateMode: string
  httpsRedirect: boolean
  hstsSeconds: number
}

const routedStates = (Object.keys(domainTraits) as (keyof typeof domainTraits)[]).filter((state) => domainTraits[state].routed)

/** Routes of verified domains. Unverified domains are not routed: another team may own the name. */
export async function domainRoutes(prisma: PrismaClient, own: OwnHosts, ports: VisiblePorts): Promise<PlannedRoute[]> {
  const [domains, certificates] = await Promise.all([
    routedDomains(prisma),
    prisma.certificate.findMany({ where: usableCertificate(new Date()), select: { teamId: true, names: true } }),
  ])
  if (domains.length === 0) return []
  const names = new Map(
    [...Map.groupBy(certificates, (one) => one.teamId)].map(([teamId, own]) => [teamId, new Set(own.flatMap((one) => one.names))]),
  )
  // Ignore wildcard certificates of other teams.
  const secure = ({ teamId, hostname, certificateMode }: DomainRow) =>
    ports.https !== null && certificateMode !== 'off' && covers(names.get(teamId) ?? new Set(), hostname)
  const routed = new Map(domains.map((one) => [one.hostname, one]))
  const templateOf = templates(own)
  return domains.flatMap((domain) => {
    const template = templateOf(domain)
    if (!template) return []
    const https = secure(domain)
    // Redirect only to a routed domain: browsers cache a 308 permanently.
    const target = routed.get(domain.redirectTo ?? '')
    return {
      ...template,
      host: domain.hostname,
      ...(https && domain.httpsRedirect ? { httpsOnly: true } : {}),
      // Send max-age=0 too: it removes the HSTS entry from browsers.
      ...(https && domain.httpsRedirect ? { hstsSeconds: domain.hstsSeconds } : {}),
      ...(target?.projectId === domain.projectId ? { redirectTo: originOf(target.hostname, secure(target), ports) } : {}),
    }
  })
}

function routedDomains(prisma: PrismaClient): Promise<DomainRow[]> {
  return prisma.domain.findMany({
    where: { state: { in: routedStates } },
    select: {
      ...{ teamId: true, hostname: true, projectId: true, environmentId: true, branch: true, redirectTo: true },
      ...{ certificateMode: true, httpsRedirect: true, hstsSeconds: true },
    },
    orderBy: { hostname: 'asc' },
  })
}

const originOf = (hostname: string, https: boolean, ports: VisiblePorts): string =>
  hostUrl(hostname, https && ports.https !== null ? { scheme: 'https', port: ports.https } : { scheme: 'http', port: ports.http })

/** Finds the route that a domain copies: of its project, its environment, or the newest deployment of its branch. */
function templates({ baseDomain, projects, routes, environments, deployments }: OwnHosts): (domain: DomainRow) => PlannedRoute | undefined {
  const byHost = new Map(routes.map((route) => [route.host, route]))
  const slugs = new Map(projects.map((project) => [project.id, project.slug]))
  const environmentOf = new Map(environments.map((environment) => [environment.id, environment]))
  const deploymentsOf = Map.groupBy(deployments, (deployment) => deployment.environmentId)
  return (domain) => {
    const slug = slugs.get(domain.projectId)
    const environment = environmentOf.get(domain.environmentId)
    if (slug === undefined || !environment) return undefined
    const own = byHost.get(environmentHost(environment.slug, baseDomain))
    if (domain.branch === null) return own
    const candidates = (deploymentsOf.get(environment.id) ?? []).filter((one) => one.branch === domain.branch)
    const found = candidates.flatMap((one) => byHost.get(deploymentHost(slug, one.id, baseDomain)) ?? [])
    const nothing: PlannedRoute | undefined = own && { ...withoutContent(own), deploymentId: null, targets: [], state: 'not-deployed' }
    return found.find((route) => route.state === 'live') ?? found[0] ?? nothing
  }
}

function withoutContent({ content: _, ...route }: PlannedRoute): PlannedRoute {
  return route
}
