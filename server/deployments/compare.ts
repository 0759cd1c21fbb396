import type { Environment } from '@/server/database/generated/client'
import type { BuildPlan } from '@/shared/build-plan'
import { type ComparedVersion, compareNames, type DeploymentComparison, isFrozenByBuild } from '@/shared/comparison'
import { AppError } from '@/shared/errors'
import { environmentHost, hostUrl } from '@/shared/naming'
import { runningDeploymentStatuses } from '@/shared/states'
import type { ScopedClient } from '../database/scope'
import { requireEnvironment } from '../environments/read'
import { settingsOf, settingsSelect } from '../environments/settings'
import { readHealth } from '../instances/health'
import { type ReleaseConfig, releaseConfig } from '../instances/launch'
import type { Secrets } from '../secrets/secrets'
import { configurationOf } from './live-stage'
import { type Edge, liveReleasesOf, presentSummary, type SummaryRow, type ViewRow, viewInclude } from './present'
import { readVariables } from './variables'

export interface Comparison {
  deploymentId: string
  /** The version to compare with; default: what is live in the environment. */
  with?: string | undefined
  /** Environment in which the deployment would serve, by name or id; default: its own. */
  environment?: string | undefined
  /** Compares with the variables and settings that a new release would get now, instead of those that its own release has. */
  present: boolean
}

interface Deps {
  secrets: Pick<Secrets, 'open'>
  edge: Edge
}

/** What a release has besides its artifact. null: the deployment was never released. */
interface Frozen {
  variables: Record<string, string>
  config: ReleaseConfig
}

/** Compares two versions: commits, variables by name, settings, size, build time. @throws ERR_NOT_FOUND */
export async function compareDeployments(deps: Deps, db: ScopedClient, wish: Comparison): Promise<DeploymentComparison> {
  const to = await requireView(db, wish.deploymentId)
  const environment = await requireEnvironment(db, to.projectId, wish.environment ?? to.environmentId)
  const from = await otherOf(db, to, environment, wish.with)
  const [before, after, frozenVariables] = await Promise.all([
    from ? frozenOf(deps, db, from) : null,
    wish.present ? presentOf(deps, db, to, environment.id) : frozenOf(deps, db, to),
    environment.id === to.environmentId ? [] : frozenByBuild(deps, db, to, environment.id),
  ])
  const builds = await db.deployment.findMany({
    where: { environmentId: environment.id, kind: 'BUILD', status: { in: runningDeploymentStatuses }, id: { not: to.id } },
    include: viewInclude,
  })
  const all = [to, ...(from ? [from] : []), ...builds]
  const health = await readHealth(db, liveReleasesOf(all))
  const summary = (row: SummaryRow) => presentSummary(row, deps.edge, health)
  const version = async (row: ViewRow): Promise<ComparedVersion> => ({ deployment: summary(row), ...(await artifactOfVersion(db, row)) })
  return {
    environment: { id: environment.id, name: environment.name, url: hostUrl(environmentHost(environment.slug, deps.edge.baseDomain), deps.edge) },
    from: from && (await version(from)),
    to: await version(to),
    variables: from && before && after ? compareNames(before.variables, after.variables) : null,
    settings: compareSettings(from && settingsTexts(from, before), settingsTexts(to, after)),
    frozenVariables,
    builds: builds.map(summary),
  }
}

async function requireView(db: ScopedClient, id: string, projectId?: string): Promise<ViewRow> {
  const row = await db.deployment.findFirst({ where: { id, ...(projectId ? { projectId } : {}) }, include: viewInclude })
  if (!row)
    throw new AppError('ERR_NOT_FOUND', `There is no deployment ${id} to compare with in this team.`, {
      nextAction: 'List the deployments of the project to see their ids.',
    })
  return row
}

async function otherOf(db: ScopedClient, to: ViewRow, { liveReleaseId }: Environment, other: string | undefined): Promise<ViewRow | null> {
  if (other) return requireView(db, other, to.projectId)
  if (!liveReleaseId) return null
  return db.deployment.findFirst({ where: { releaseId: liveReleaseId }, include: viewInclude })
}

async function frozenOf({ secrets }: Deps, db: ScopedClient, { releaseId, teamId }: ViewRow): Promise<Frozen | null> {
  const release = releaseId ? await db.release.findUnique({ where: { id: releaseId } }) : null
  if (!release) return null
  return { variables: JSON.parse(await secrets.open(teamId, release.variables)) as Record<string, string>, config: releaseConfig(release) }
}

async function presentOf({ secrets }: Deps, db: ScopedClient, row: ViewRow, environmentId: string): Promise<Frozen | null> {
  const artifact = row.artifactId ? await db.artifact.findUnique({ where: { id: row.artifactId } }) : null
  if (!artifact) return null
  const [project, environment, variables] = await Promise.all([
    db.project.findUniqueOrThrow({ where: { id: row.projectId } }),
    db.environment.findUniqueOrThrow({ where: { id: environmentId }, select: settingsSelect }),
    readVariables(db, secrets, { teamId: row.teamId, environmentId, scope: 'RUNTIME' }),
  ])
  return { variables, config: configurationOf(project, artifact, settingsOf(environment)) }
}

/** Build variables that frameworks write into files, with whether the other environment has another value. */
async function frozenByBuild({ secrets }: Deps, db: ScopedClient, { teamId, environmentId }: ViewRow, otherId: string) {
  const [own, other] = await Promise.all(
    [environmentId, otherId].map((id) => readVariables(db, secrets, { teamId, environmentId: id, scope: 'BUILD' })),
  )
  const names = [...new Set([own, other].flatMap((values) => Object.keys(values ?? {})))].filter(isFrozenByBuild).sort()
  return names.map((name) => ({ name, differs: own?.[name] !== other?.[name] }))
}

/** Steps that do not belong to a build. */
const switchSteps: readonly string[] = ['wake', 'start', 'health', 'cutover', 'drain', 'stop']

async function artifactOfVersion(db: ScopedClient, { artifactId }: ViewRow): Promise<Pick<ComparedVersion, 'artifact' | 'buildMs'>> {
  const artifact = artifactId ? await db.artifact.findUnique({ where: { id: artifactId } }) : null
  if (!artifact) return { artifact: null, buildMs: null }
  const { kind, digest, sizeBytes, removedAt } = artifact
  const built = await db.deployment.findFirst({
    where: { artifactId: artifact.id, kind: 'BUILD' },
    orderBy: { createdAt: 'asc' },
    include: { steps: true },
  })
  const steps = built?.steps.filter(({ name }) => !switchSteps.includes(name)) ?? []
  const buildMs = steps.reduce((sum, { startedAt, endedAt }) => sum + (endedAt ? endedAt.getTime() - startedAt.getTime() : 0), 0)
  return {
    artifact: { kind: kind === 'image' ? 'image' : 'bundle', digest, sizeBytes: Number(sizeBytes), removed: removedAt !== null },
    buildMs: steps.length > 0 ? buildMs : null,
  }
}

/** Settings as a person reads them, by name. */
function settingsTexts({ framework, plan }: ViewRow, frozen: Frozen | null): Record<string, string | null> {
  const build = { Framework: framework, Build: (plan as unknown as BuildPlan | null)?.summary ?? null }
  if (!frozen) return build
  const { health, limits, instances } = frozen.config
  return {
    ...build,
    Instances: String(instances),
    Memory: `${Math.round(limits.memoryBytes / 1024 / 1024)} MiB`,
    CPUs: String(limits.cpus),
    'Health check path': health.path,
    'Start time': `${health.startPeriodMs / 1000} s`,
    'Health check interval': `${health.intervalMs} ms`,
    'Health check time-out': `${health.timeoutMs} ms`,
    'Healthy answers in a row': String(health.successes),
    'Latency threshold': `${health.latencyThresholdMs} ms`,
  }
}

/** Settings that both versions have and that differ. */
function compareSettings(from: Record<string, string | null> | null, to: Record<string, string | null>): DeploymentComparison['settings'] {
  if (!from) return []
  return Object.keys(to).flatMap((name) =>
    Object.hasOwn(from, name) && from[name] !== to[name] ? [{ name, from: from[name] ?? null, to: to[name] ?? null }] : [],
  )
}
