import { createHash } from 'node:crypto'
import type { PrismaClient } from '@/server/database/generated/client'
import { defaultEdgePolicy, type EdgePolicy } from '@/shared/edge-policy'
import { projectHost } from '@/shared/naming'
import type { Route } from '@/shared/route-table'
import { mergePolicies, nameProjects, type PartialPolicy, readStored } from './merge'

interface RoutesWithPolicies {
  routes: Route[]
  policies: Record<string, EdgePolicy>
}

/**
 * Gives each route the policy of its deployment's files and its project's settings. Policies that say the same are one, named by their
 * digest, so that a router sees at once that nothing changed; the default has no name.
 */
export async function attachPolicies(prisma: PrismaClient, routes: readonly Route[], baseDomain: string): Promise<RoutesWithPolicies> {
  const [settings, files] = await Promise.all([readSettings(prisma), readFiles(prisma, routes)])
  const policies: Record<string, EdgePolicy> = {}
  if (settings.size === 0 && files.size === 0) return { routes: [...routes], policies }
  const keys = new Map<string, string | null>()
  const keyOf = (projectId: string, deploymentId: string | null): string | null => {
    const own = settings.get(projectId)
    const said = deploymentId === null ? undefined : files.get(deploymentId)
    if (!own && !said) return null
    const pair = `${own ? projectId : ''} ${said?.artifactId ?? ''}`
    const known = keys.get(pair)
    if (known !== undefined) return known
    const policy = mergePolicies(said?.policy ?? {}, own ?? {})
    const named = { ...policy, rewrites: nameProjects(policy.rewrites, (slug) => projectHost(slug, baseDomain)) }
    const key = digestOf(named)
    if (key !== null) policies[key] = named
    keys.set(pair, key)
    return key
  }
  const withKeys = routes.map((route) => {
    const key = keyOf(route.projectId, route.deploymentId)
    return key === null ? route : { ...route, policy: key }
  })
  return { routes: withKeys, policies }
}

const defaultText = JSON.stringify(ordered(defaultEdgePolicy))

/** null: it says what everybody has. */
function digestOf(policy: EdgePolicy): string | null {
  const text = JSON.stringify(ordered(policy))
  return text === defaultText ? null : createHash('sha256').update(text).digest('hex').slice(0, 32)
}

// In the default's order of fields, whoever wrote them.
function ordered(policy: EdgePolicy): Record<string, unknown> {
  return Object.fromEntries(Object.keys(defaultEdgePolicy).map((key) => [key, policy[key as keyof EdgePolicy]]))
}

async function readSettings(prisma: PrismaClient): Promise<Map<string, PartialPolicy>> {
  const rows = await prisma.$queryRaw<{ id: string; edgePolicy: unknown }[]>`
    SELECT "id", "edgePolicy" FROM "Project" WHERE "edgePolicy" IS NOT NULL`
  return new Map(rows.map(({ id, edgePolicy }) => [id, readStored(edgePolicy)]))
}

/** What files say, by deployment; most deployments have none. */
async function readFiles(prisma: PrismaClient, routes: readonly Route[]): Promise<Map<string, { artifactId: string; policy: PartialPolicy }>> {
  const ids = [...new Set(routes.flatMap((route) => route.deploymentId ?? []))]
  const rows = await prisma.$queryRaw<{ id: string; artifactId: string }[]>`
    SELECT d."id", a."id" AS "artifactId" FROM "Deployment" d JOIN "Artifact" a ON a."id" = d."artifactId"
    WHERE a."edgePolicy" IS NOT NULL AND d."id" = ANY(${ids})`
  const artifactIds = [...new Set(rows.map(({ artifactId }) => artifactId))]
  const artifacts = await prisma.artifact.findMany({ where: { id: { in: artifactIds } }, select: { id: true, edgePolicy: true } })
  const policies = new Map(artifacts.map(({ id, edgePolicy }) => [id, readStored(edgePolicy)]))
  return new Map(rows.map(({ id, artifactId }) => [id, { artifactId, policy: policies.get(artifactId) ?? {} }]))
}
