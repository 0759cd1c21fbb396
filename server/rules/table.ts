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

/** Why a project is closed. */
interface Closing {
  origin: ProblemOrigin
  message: string
  nextAction: string
}
/** Merged rules of settings and files. `key` null: the default rules. */
type Made =
  | { closed: Closing }
  | { closed: null; key: string | null; policy: ProjectRules; weight: number; leftOut: { origin: ProblemOrigin; what: string }[] }

/**
 * Lets nobody in, in the words of routers of any version: one that knows no `closed` shows the message as maintenance. Nothing kept is
 * answered with either.
 */
const closedRules: ProjectRules = {
  ...defaultProjectRules,
  cache: false,
  maintenance: {
    message: 'Its rules cannot be applied, and without them it cannot be known who may come in. So nobody is let in.',
    allowedAddresses: [],
  },
}

/**
 * Assigns to each route the merged rules of its deployment's files and its project's settings. Equal rules share one policy, named by its
 * digest, so that routers recognize unchanged policies; the default policy has no name. Invalid rules are omitted, and invalid access rules
 * close their own project; neither prevents the table. `total`: maximum weight of all policies together.
 */
export function attachRules(
  { routes, parts, baseDomain, problems }: { routes: readonly Route[]; parts: RulesParts; baseDomain: string; problems: FoundProblems },
  total: number = ruleLimits.totalWeight,
): RoutesWithRules {
  if (parts.settings.size === 0 && parts.files.size === 0) return { routes: [...routes], policies: {} }
  const makers = new Map<string, Made>()
  const madeOf = (route: Route): Made | null => {
    const own = parts.settings.get(route.projectId)
    const said = route.deploymentId === null ? undefined : parts.files.get(route.deploymentId)
    if (!own && !said) return null
    const pair = `${own ? route.projectId : ''} ${said?.artifactId ?? ''}`
    const known = makers.get(pair) ?? make(own, said?.stored, baseDomain)
    makers.set(pair, known)
    return known
  }
  const made = routes.map((route) => ({ route, made: madeOf(route) }))
  const fit = keysThatFit(made, total)
  const policies: Record<string, ProjectRules> = {}
  const closed = (route: Route, closing: Closing): Route => {
    report(problems, route, { ...closing, effect: 'closed' })
    policies[closedKey] = closedRules
    return { ...route, policy: closedKey, closed: true }
  }
  const withKeys = made.map(({ route, made: own }) => {
    if (own === null) return route
    if (own.closed) return closed(route, own.closed)
    for (const { origin, what } of own.leftOut)
      report(problems, route, { origin, effect: 'left-out', message: leftOutText(origin, what), nextAction: correct(origin) })
    if (own.key === null) return route
    if (!fit.has(`${route.projectId} ${own.key}`)) return closed(route, noRoom(own.weight))
    policies[own.key] = own.policy
    return { ...route, policy: own.key }
  })
  return { routes: withKeys, policies }
}

function make(own: StoredRules | undefined, said: StoredRules | undefined, baseDomain: string): Made {
  const closing = closingOf(own, said)
  if (closing) return { closed: closing }
  const merged = mergeRules(said?.policy ?? {}, own?.policy ?? {})
  const policy = { ...merged, rewrites: nameProjects(merged.rewrites, (slug) => projectHost(slug, baseDomain)) }
  const leftOut = [
    ...(own?.leftOut ?? []).map((what) => ({ origin: 'settings' as const, what })),
    ...(said?.leftOut ?? []).map((what) => ({ origin: 'files' as const, what })),
    ...cutOff(own, said, merged).map((what) => ({ origin: 'files' as const, what })),
  ]
  // Validate with the schema of the routers: they would refuse the whole table.
  const problem = projectRulesSchema.safeParse(policy).error?.issues[0]
  if (problem)
    return {
      closed: closingText('settings', `together, settings and files are not what routers take (${problem.path.join('.')}: ${problem.message})`),
    }
  return { closed: null, key: digestOf(policy), policy, weight: (own?.weight ?? 0) + (said?.weight ?? 0), leftOut }
}

function closingOf(own: StoredRules | undefined, said: StoredRules | undefined): Closing | null {
  if (own?.unusable) return closingText('settings', own.unusable)
  if (own && own.unreadAccess.length > 0) return closingText('settings', `${own.unreadAccess.join(', ')} cannot be read`)
  if (said?.unusable) return closingText('files', said.unusable)
  // Files can set no other access field; an address list in the settings replaces the list of the files.
  const replaced = (own?.policy.allowedAddresses?.length ?? 0) > 0
  return said?.unreadAccess.includes('allowedAddresses') && !replaced ? closingText('files', 'allowedAddresses cannot be read') : null
}

const whose = { settings: 'The rules set for this project', files: 'The rules in the files of this deployment', budget: '', record: '' } as const

const closingText = (origin: 'settings' | 'files', why: string): Closing => ({
  origin,
  message: `${whose[origin]} cannot be applied, so nobody is let in: ${why}.`,
  nextAction:
    origin === 'files'
      ? 'Correct them (switchyard.json, vercel.json, _redirects, _headers) and deploy again.'
      : `Take back under Rules what cannot be read, and set it anew there. If an older Switchyard runs since an update was undone, run the newer one again.`,
})

const leftOutText = (origin: ProblemOrigin, what: string): string => `${whose[origin]} are applied without this part: ${what}.`
const correct = (origin: ProblemOrigin): string =>
  origin === 'files' ? 'Correct the files and deploy again.' : 'Take it back under Rules, and set it anew there.'
const noRoom = (weight: number): Closing => ({
  origin: 'budget',
  message: `There is no room for these rules (${sizeText(weight)}) beside those of everybody else, so nobody is let in.`,
  nextAction: 'Remove rules of this project or of other projects of this team, or older deployments that have rules of their own.',
})

/** Describes the rules beyond the maximum of one policy. */
function cutOff(own: StoredRules | undefined, said: StoredRules | undefined, merged: ProjectRules): string[] {
  return (['redirects', 'rewrites', 'headers', 'rateLimits'] as const).flatMap((kind) => {
    const given = (own?.policy[kind]?.length ?? 0) + (said?.policy[kind]?.length ?? 0)
    return given > merged[kind].length ? [`${given} ${kind} are more than the ${merged[kind].length} that are held`] : []
  })
}

/** "project key" of each policy that fits into the limit of its project and into the total limit. Live deployments take precedence. */
function keysThatFit(made: readonly { route: Route; made: Made | null }[], total: number): Set<string> {
  const wanted = new Map<string, Charge>()
  const ofProject = new Map<string, number>()
  for (const { route, made: own } of made) {
    if (!own || own.closed || own.key === null) continue
    const { teamId, projectId } = route
    const name = `${projectId} ${own.key}`
    const before = ofProject.get(projectId) ?? 0
    if (wanted.has(name) || before + own.weight > ruleLimits.projectWeight) continue
    ofProject.set(projectId, before + own.weight)
    wanted.set(name, { teamId, projectId, size: own.weight })
  }
  const fit = fitting([...wanted.values()], total)
  return new Set([...wanted].flatMap(([name, one]) => (fit.has(one) ? [name] : [])))
}

function report(problems: FoundProblems, route: Route, what: Closing & { effect: 'closed' | 'left-out' }): void {
  const { teamId, projectId, deploymentId, host } = route
  problems.add({ teamId, projectId, deploymentId, host, ...what })
}

const defaultText = JSON.stringify(ordered(defaultProjectRules))
const closedKey = 'closed'

/** null: equal to the default rules. */
function digestOf(policy: ProjectRules): string | null {
  const text = JSON.stringify(ordered(policy))
  return text === defaultText ? null : createHash('sha256').update(text).digest('hex').slice(0, 32)
}

// Sort the fields so that equal rules have equal digests.
function ordered(policy: ProjectRules): Record<string, unknown> {
  return Object.fromEntries(Object.keys(defaultProjectRules).map((key) => [key, policy[key as keyof ProjectRules]]))
}
