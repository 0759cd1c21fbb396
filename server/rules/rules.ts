import { BlockList, isIP } from 'node:net'
import { type Environment, Prisma, type PrismaClient, type Project } from '@/server/database/generated/client'
import { AppError } from '@/shared/errors'
import type { ProjectRules } from '@/shared/project-rules'
import { findRuleProblems } from '@/shared/rules/rules'
import { findExcess } from '@/shared/rules/weight'
import type { RulesPatch, RulesUpdated, RulesView } from '@/shared/rules-settings'
import type { Actor } from '../actor'
import { writeAudit } from '../audit/audit'
import { type ScopedClient, scopeTo } from '../database/scope'
import { requireEnvironment } from '../environments/read'
import type { ChangeBus } from '../events/bus'
import { requireProject } from '../projects/read'
import type { RoutePublisher, RulesPlace } from '../routes/publisher'
import { authorize } from '../teams/policy'
import { layRules } from './merge'
import { makeProtection, presentProtection } from './protection'
import { type PartialRules, readStored, type StoredRules } from './stored'
import { refuseStale, versionsOf } from './versions'

export interface RulesDeps {
  prisma: PrismaClient
  bus: Pick<ChangeBus, 'publish'>
  outsideHosts: readonly string[]
  /** Publishes the changed rules to the routers; the publisher retries failures. */
  routesChanged: () => Promise<void>
  /** See `RoutePublisher.closedBy`. */
  closedBy: RoutePublisher['closedBy']
}

/**
 * Rules of a project: redirects, rewrites, headers, protection, limits. `project` is an id or a slug. With an `environment` (id or name): the
 * rules of that environment, which are laid over those of the project.
 */
export interface Rules {
  get(actor: Actor, project: string, environment?: string): Promise<RulesView>
  /** Changes rules with immediate effect. Stores only hashes of passwords and tokens. @throws ERR_INVALID_INPUT that names the invalid rules */
  update(actor: Actor, project: string, patch: RulesPatch, environment?: string): Promise<RulesUpdated>
}

/** Use-cases about a project's rules. A change applies to the live deployment at once, without a build or a restart. */
export function createRules(deps: RulesDeps): Rules {
  return {
    get: async (actor, project, environment) => {
      authorize(actor, 'project.read')
      const db = scopeTo(deps.prisma, actor)
      return present(deps, db, await requireTarget(db, project, environment))
    },
    update: (actor, project, patch, environment) => updateRules(deps, actor, { project, environment, patch }),
  }
}

/** Where rules are set, with what is set there. */
interface Target {
  project: Project
  /** null: the project itself. */
  environment: Environment | null
  stored: unknown
}

async function requireTarget(db: ScopedClient, projectId: string, name: string | undefined): Promise<Target> {
  const project = await requireProject(db, projectId)
  if (name === undefined) return { project, environment: null, stored: project.edgePolicy }
  const environment = await requireEnvironment(db, project.id, name)
  return { project, environment, stored: environment.rules }
}

async function updateRules(
  deps: RulesDeps,
  actor: Actor,
  { project: projectId, environment: name, patch: { versions, ...patch } }: { project: string; environment: string | undefined; patch: RulesPatch },
): Promise<RulesUpdated> {
  authorize(actor, 'project.update')
  const db = scopeTo(deps.prisma, actor)
  const target = await requireTarget(db, projectId, name)
  const { project, environment } = target
  refuseStale(target.stored, versions)
  const before = readStored(target.stored)
  refuseWithoutAccess(before, patch)
  const { next, newTokens } = await changed(before.policy, patch)
  const stored = readStored(next)
  refuseProblems(patch, stored)
  await refuseWithoutRoom(deps, { projectId: project.id, environmentId: environment?.id ?? null }, before, stored)
  await db.$transaction(async (tx) => {
    await store(tx, target, Object.keys(next).length === 0 ? null : (next as unknown as Prisma.InputJsonObject))
    const fields = [...new Set([...Object.keys(patch).filter((key) => key !== 'reset'), ...(patch.reset ?? [])])]
    const detail = { changed: fields, ...(environment ? { environment: environment.name } : {}) }
    await writeAudit(tx, actor, { action: 'project.rules-updated', subject: project.id, detail })
  })
  await deps.bus.publish({ kind: 'project', id: project.id, teamId: actor.teamId, projectId: project.id })
  await deps.routesChanged()
  return { ...(await present(deps, db, await requireTarget(db, project.id, environment?.id))), newTokens }
}

/** Refuses to overwrite a concurrent change. @throws ERR_CONFLICT */
async function store(
  tx: Pick<ScopedClient, 'project' | 'environment'>,
  { project, environment, stored }: Target,
  next: Prisma.InputJsonObject | null,
) {
  const { count } = environment
    ? await tx.environment.updateMany({
        where: { id: environment.id, rules: { equals: stored === null ? Prisma.DbNull : (stored as Prisma.InputJsonValue) } },
        data: { rules: next ?? Prisma.DbNull },
      })
    : await tx.project.updateMany({ where: { id: project.id, updatedAt: project.updatedAt }, data: { edgePolicy: next ?? Prisma.DbNull } })
  if (count > 0) return
  const what = environment ? `The rules of ${environment.name} were` : 'The project was'
  throw new AppError('ERR_CONFLICT', `${what} changed by somebody else at the same moment.`, { nextAction: 'Look at it and try again.' })
}

async function changed(
  before: PartialRules,
  { reset = [], protection, ...rest }: RulesPatch,
): Promise<{ next: Record<string, unknown>; newTokens: string[] }> {
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined))
  const next: Record<string, unknown> = { ...before, ...given }
  let newTokens: string[] = []
  if (protection === null) delete next.protection
  else if (protection !== undefined) {
    const made = await makeProtection(protection, before.protection ?? null)
    next.protection = made.protection
    newTokens = made.newTokens
  }
  for (const field of reset) delete next[field]
  return { next, newTokens }
}

const accessFields = ['protection', 'allowedAddresses', 'maintenance'] as const

/** A patch replaces invalid stored rules only if it sets or resets every access field: a smaller patch would open the site. @throws ERR_CONFLICT */
function refuseWithoutAccess(before: StoredRules, patch: RulesPatch): void {
  if (before.invalid === null) return
  const missing = accessFields.filter((field) => patch[field] === undefined && !patch.reset?.includes(field))
  if (missing.length === 0) return
  throw new AppError('ERR_CONFLICT', `The stored rules cannot be read (${before.invalid}), so this change cannot be applied to them.`, {
    nextAction: `Replace them: set ${missing.join(', ')} in the same request of the API, or name them in "reset".`,
  })
}

/** @throws ERR_INVALID_INPUT that names the first five problems; ERR_TOO_LARGE when the rules exceed their limits. */
function refuseProblems({ reset: _, protection: __, ...given }: RulesPatch, stored: StoredRules): void {
  refuseExcess(findExcess(given))
  const words = (at: string) => at.replace(/\.(\d+)$/, (_, index) => ` ${Number(index) + 1}`)
  const problems = findRuleProblems(given).map(({ at, message }) => `${words(at)}: ${message}`)
  for (const [field, entries] of addressFields(given))
    for (const entry of entries) if (!isRange(entry)) problems.push(`${field}: "${entry}" is no IP address and no range like 192.0.2.0/24`)
  if (problems.length > 0)
    throw new AppError('ERR_INVALID_INPUT', problems.slice(0, 5).join('; '), { nextAction: 'Correct these rules; nothing was changed.' })
  // Both parts are valid, so the result is invalid only when it is too large.
  refuseExcess(stored.invalid)
}

function refuseExcess(excess: string | null): void {
  if (excess === null) return
  throw new AppError('ERR_TOO_LARGE', `These are too many rules, or too large ones: ${excess}.`, {
    nextAction: 'Join rules by patterns, or leave some out; nothing was changed.',
  })
}

/** Refuses rules that do not fit into the route table with the rules of all other projects; smaller rules always pass. @throws ERR_TOO_LARGE */
async function refuseWithoutRoom(deps: RulesDeps, place: RulesPlace, before: StoredRules, next: StoredRules): Promise<void> {
  if (next.weight <= before.weight) return
  const why = await deps.closedBy(place, next)
  if (why !== null)
    throw new AppError('ERR_TOO_LARGE', why, { nextAction: 'Remove rules of this or of other projects of the team; nothing was changed.' })
}

const addressFields = (policy: Partial<ProjectRules>): [string, string[]][] => [
  ['allowed addresses', policy.allowedAddresses ?? []],
  ['maintenance', policy.maintenance?.allowedAddresses ?? []],
]

function isRange(entry: string): boolean {
  const [address = '', bits, ...rest] = entry.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0) return false
  if (bits === undefined) return true
  if (!/^\d{1,3}$/.test(bits)) return false
  try {
    new BlockList().addSubnet(address, Number(bits), family === 6 ? 'ipv6' : 'ipv4')
    return true
  } catch {
    return false
  }
}

async function present(deps: RulesDeps, db: ScopedClient, { project, environment, stored }: Target): Promise<RulesView> {
  const live = environment ?? (await db.environment.findFirst({ where: { projectId: project.id, kind: 'PRODUCTION' } }))
  const release = live?.liveReleaseId
    ? await db.release.findFirst({ where: { id: live.liveReleaseId }, select: { artifact: { select: { edgePolicy: true } } } })
    : null
  return {
    settings: presentPart(readStored(stored).policy),
    inherited: presentPart(environment ? await inheritedBy(db, project, environment) : {}),
    files: presentPart(readStored(release?.artifact.edgePolicy).policy),
    outsideHosts: [...deps.outsideHosts],
    versions: versionsOf(stored),
  }
}

/** Rules of the project and of the environment that this one inherits from. */
async function inheritedBy(db: ScopedClient, project: Project, { parentId }: Environment): Promise<PartialRules> {
  const parent = parentId === null ? null : await db.environment.findFirst({ where: { id: parentId }, select: { rules: true } })
  return layRules(readStored(project.edgePolicy).policy, readStored(parent?.rules).policy)
}

function presentPart({ protection, ...open }: PartialRules): RulesView['settings'] {
  return { ...open, ...(protection === undefined ? {} : { protection: presentProtection(protection) }) }
}
