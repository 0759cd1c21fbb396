import { createHash } from 'node:crypto'
import { projectHost } from '@/shared/naming'
import { defaultProjectRules, type ProjectRules } from '@/shared/project-rules'
import { projectRulesSchema } from '@/shared/project-rules-schema'
import type { Route } from '@/shared/route-table'
import { ruleLimits, sizeText } from '@/shared/rules/weight'
import type { PlannedRoute } from '../routes/domains'
import type { FoundProblems, ProblemOrigin } from '../routes/problems'
import { type Charge, fitting } from '../routes/shares'
import { layRules, mergeRules, nameProjects, withLinks } from './merge'
import type { EnvironmentAccess, RulesParts } from './parts'
import type { StoredRules } from './stored'

interface RoutesWithRules {
  routes: Route[]
  policies: Record<string, ProjectRules>
}

/** Why a project is closed. `page`: the text for its visitors. */
interface Closing {
  origin: ProblemOrigin
  message: string
  nextAction: string
  page: string
}
/** Merged rules of settings and files. `key` null: the default rules. */
type Merged = { closed: Closing } | { closed: null; key: string | null; policy: ProjectRules; weight: number }

/**
 * Assigns to each route the merged rules of its deployment's files, its project's settings and its environment, with the environment's protection. Equal rules share one policy, named by its
 * digest, so that routers recognize unchanged policies; the default policy has no name. Invalid or too large rules close their own project
 * and never prevent the table. `total`: maximum weight of all policies together.
 */
export function attachRules(
  { routes, parts, baseDomain, problems }: { routes: readonly PlannedRoute[]; parts: RulesParts; baseDomain: string; problems: FoundProblems },
  total: number = ruleLimits.totalWeight,
): RoutesWithRules {
  const known = new Map<string, Merged>()
  const mergedOf = (route: PlannedRoute): Merged | null => {
    const layers = layersOf(route, parts)
    if (layers === null) return null
    const merged = known.get(layers.name) ?? merge(layers, baseDomain)
    known.set(layers.name, merged)
    return merged
  }
  const withRules = routes.map((route) => ({ route, merged: mergedOf(route) }))
  const fit = keysThatFit(withRules, total)
  const policies: Record<string, ProjectRules> = {}
  const attach = (route: Route, key: string, policy: ProjectRules): Route => {
    policies[key] = policy
    return { ...route, policy: key }
  }
  const close = (route: Route, { page, ...why }: Closing): Route => {
    const { teamId, projectId, deploymentId, host } = route
    problems.add({ teamId, projectId, deploymentId, host, effect: 'closed', ...why })
    const policy = closedPolicy(page)
    return { ...attach(route, digestOf(policy) ?? '', policy), closed: true }
  }
  const attached = withRules.map(({ route: { environmentId: _, ...route }, merged }): Route => {
    if (merged === null) return route
    if (merged.closed) return close(route, merged.closed)
    if (merged.key === null) return route
    return fit.has(`${route.projectId} ${merged.key}`) ? attach(route, merged.key, merged.policy) : close(route, noRoom(merged.weight))
  })
  return { routes: attached, policies }
}

interface Layers {
  /** Equal for equal layers. */
  name: string
  project: StoredRules | undefined
  /** Of environments: the inherited ones first. */
  environments: StoredRules[]
  files: StoredRules | undefined
  access: EnvironmentAccess | undefined
}

/** The sources of a route's rules. null: there are none. */
function layersOf({ projectId, environmentId, deploymentId }: PlannedRoute, parts: RulesParts): Layers | null {
  const project = parts.settings.get(projectId)
  const files = deploymentId === null ? undefined : parts.files.get(deploymentId)
  const access = parts.environments.get(environmentId)
  const environments = [access?.parentId ?? '', environmentId].flatMap((id) => parts.ofEnvironments.get(id) ?? [])
  const isSpecial = environments.length > 0 || access?.asks || (access?.links.length ?? 0) > 0
  if (!project && !files && !isSpecial) return null
  const name = `${project ? projectId : ''} ${isSpecial ? environmentId : ''} ${files?.artifactId ?? ''}`
  return { name, project, environments, files: files?.stored, access }
}

/** Estimated memory of a share link in a policy. */
const linkWeight = 512

function merge({ project, environments, files, access }: Layers, baseDomain: string): Merged {
  if (project?.invalid) return { closed: invalid('settings', project.invalid) }
  for (const one of environments) if (one.invalid) return { closed: invalid('environment', one.invalid) }
  if (files?.invalid) return { closed: invalid('files', files.invalid) }
  const settings = environments.reduce((inherited, own) => layRules(inherited, own.policy), project?.policy ?? {})
  const merged = mergeRules(files?.policy ?? {}, settings)
  const links = access?.links ?? []
  const policy = {
    ...merged,
    protection: withLinks(merged.protection, access?.asks ?? false, links),
    rewrites: nameProjects(merged.rewrites, (slug) => projectHost(slug, baseDomain)),
  }
  // Validate with the schema of the routers: they would refuse the whole table.
  const problem = projectRulesSchema.safeParse(policy).error?.issues[0]
  if (problem) return { closed: invalid('settings', `together with those of the files: ${problem.path.join('.')}: ${problem.message}`) }
  const weight = [project, files, ...environments].reduce((sum, one) => sum + (one?.weight ?? 0), linkWeight * links.length)
  return { closed: null, key: digestOf(policy), policy, weight }
}

/** Routers skip the access checks of a host with the default policy, so a closed host needs a policy that refuses everybody. */
const closedPolicy = (message: string): ProjectRules => ({ ...defaultProjectRules, cache: false, maintenance: { message, allowedAddresses: [] } })

const sources = {
  settings: {
    name: 'The rules set for this project',
    nextAction: 'Replace them by PATCH /api/v1/projects/{project}/rules: set or reset protection, allowedAddresses and maintenance in one request.',
  },
  environment: {
    name: 'The rules set for this environment',
    nextAction:
      'Replace them by PATCH /api/v1/projects/{project}/rules with its "environment": set or reset protection, allowedAddresses and maintenance in one request.',
  },
  files: {
    name: 'The rules in the files of this deployment',
    nextAction: 'Correct them (switchyard.json, vercel.json, _redirects, _headers) and deploy again.',
  },
}

const invalid = (source: keyof typeof sources, why: string): Closing => ({
  origin: source === 'files' ? 'files' : 'settings',
  message: `${sources[source].name} cannot be read, so the site is closed until they are fixed: ${why}.`,
  nextAction: sources[source].nextAction,
  page: 'These access rules cannot be read, so the site is closed until they are fixed.',
})

const noRoom = (weight: number): Closing => ({
  origin: 'budget',
  message: `There is no room for these rules (${sizeText(weight)}) within the memory limits, so the site is closed.`,
  nextAction: 'Remove rules of this project or of other projects of this team, or older deployments that have rules of their own.',
  page: 'The rules of this site exceed a memory limit, so the site is closed until some are removed.',
})

/** "project key" of each policy that fits into the limit of its project and into the total limit. Live deployments take precedence. */
function keysThatFit(withRules: readonly { route: PlannedRoute; merged: Merged | null }[], total: number): Set<string> {
  const wanted = new Map<string, Charge>()
  const ofProject = new Map<string, number>()
  for (const { route, merged } of withRules) {
    if (!merged || merged.closed || merged.key === null) continue
    const { teamId, projectId } = route
    const name = `${projectId} ${merged.key}`
    const before = ofProject.get(projectId) ?? 0
    if (wanted.has(name) || before + merged.weight > ruleLimits.projectWeight) continue
    ofProject.set(projectId, before + merged.weight)
    wanted.set(name, { teamId, projectId, size: merged.weight })
  }
  const fit = fitting([...wanted.values()], total)
  return new Set([...wanted].flatMap(([name, charge]) => (fit.has(charge) ? [name] : [])))
}

const defaultText = JSON.stringify(ordered(defaultProjectRules))

/** null: equal to the default rules. */
function digestOf(policy: ProjectRules): string | null {
  const text = JSON.stringify(ordered(policy))
  return text === defaultText ? null : createHash('sha256').update(text).digest('hex').slice(0, 32)
}

// Sort the fields so that equal rules have equal digests.
function ordered(policy: ProjectRules): Record<string, unknown> {
  return Object.fromEntries(Object.keys(defaultProjectRules).map((key) => [key, policy[key as keyof ProjectRules]]))
}
