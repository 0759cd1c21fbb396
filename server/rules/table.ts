import { createHash } from 'node:crypto'
import { projectHost } from '@/shared/naming'
import { defaultProjectRules, type ProjectRules } from '@/shared/project-rules'
import { projectRulesSchema } from '@/shared/project-rules-schema'
import type { Route } from '@/shared/route-table'
import { ruleLimits, sizeText } from '@/shared/rules/weight'
import type { FoundProblems, ProblemOrigin } from '../routes/problems'
import { type Charge, fitting } from '../routes/shares'
import { mergeRules, nameProjects } from './merge'
import type { RulesParts } from './parts'
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
 * Assigns to each route the merged rules of its deployment's files and its project's settings. Equal rules share one policy, named by its
 * digest, so that routers recognize unchanged policies; the default policy has no name. Invalid or too large rules close their own project
 * and never prevent the table. `total`: maximum weight of all policies together.
 */
export function attachRules(
  { routes, parts, baseDomain, problems }: { routes: readonly Route[]; parts: RulesParts; baseDomain: string; problems: FoundProblems },
  total: number = ruleLimits.totalWeight,
): RoutesWithRules {
  if (parts.settings.size === 0 && parts.files.size === 0) return { routes: [...routes], policies: {} }
  const known = new Map<string, Merged>()
  const mergedOf = (route: Route): Merged | null => {
    const settings = parts.settings.get(route.projectId)
    const files = route.deploymentId === null ? undefined : parts.files.get(route.deploymentId)
    if (!settings && !files) return null
    const pair = `${settings ? route.projectId : ''} ${files?.artifactId ?? ''}`
    const merged = known.get(pair) ?? merge(settings, files?.stored, baseDomain)
    known.set(pair, merged)
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
  const attached = withRules.map(({ route, merged }) => {
    if (merged === null) return route
    if (merged.closed) return close(route, merged.closed)
    if (merged.key === null) return route
    return fit.has(`${route.projectId} ${merged.key}`) ? attach(route, merged.key, merged.policy) : close(route, noRoom(merged.weight))
  })
  return { routes: attached, policies }
}

function merge(settings: StoredRules | undefined, files: StoredRules | undefined, baseDomain: string): Merged {
  if (settings?.invalid) return { closed: invalid('settings', settings.invalid) }
  if (files?.invalid) return { closed: invalid('files', files.invalid) }
  const merged = mergeRules(files?.policy ?? {}, settings?.policy ?? {})
  const policy = { ...merged, rewrites: nameProjects(merged.rewrites, (slug) => projectHost(slug, baseDomain)) }
  // Validate with the schema of the routers: they would refuse the whole table.
  const problem = projectRulesSchema.safeParse(policy).error?.issues[0]
  if (problem) return { closed: invalid('settings', `together with those of the files: ${problem.path.join('.')}: ${problem.message}`) }
  return { closed: null, key: digestOf(policy), policy, weight: (settings?.weight ?? 0) + (files?.weight ?? 0) }
}

/** Routers skip the access checks of a host with the default policy, so a closed host needs a policy that refuses everybody. */
const closedPolicy = (message: string): ProjectRules => ({ ...defaultProjectRules, cache: false, maintenance: { message, allowedAddresses: [] } })

const sources = {
  settings: {
    name: 'The rules set for this project',
    nextAction: 'Replace them by PATCH /api/v1/projects/{project}/rules: set or reset protection, allowedAddresses and maintenance in one request.',
  },
  files: {
    name: 'The rules in the files of this deployment',
    nextAction: 'Correct them (switchyard.json, vercel.json, _redirects, _headers) and deploy again.',
  },
}

const invalid = (origin: 'settings' | 'files', why: string): Closing => ({
  origin,
  message: `${sources[origin].name} cannot be read, so the site is closed until they are fixed: ${why}.`,
  nextAction: sources[origin].nextAction,
  page: 'These access rules cannot be read, so the site is closed until they are fixed.',
})

const noRoom = (weight: number): Closing => ({
  origin: 'budget',
  message: `There is no room for these rules (${sizeText(weight)}) within the memory limits, so the site is closed.`,
  nextAction: 'Remove rules of this project or of other projects of this team, or older deployments that have rules of their own.',
  page: 'The rules of this site exceed a memory limit, so the site is closed until some are removed.',
})

/** "project key" of each policy that fits into the limit of its project and into the total limit. Live deployments take precedence. */
function keysThatFit(withRules: readonly { route: Route; merged: Merged | null }[], total: number): Set<string> {
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
