import type { SourceSpec } from '@/builder/builder'
import type { Prisma } from '@/server/database/client'
import type { BuildPlan } from '@/shared/build-plan'
import type { WireError } from '@/shared/errors'
import { deploymentHost, environmentHost, hostUrl, projectHost } from '@/shared/naming'
import type { DeploymentHealth, DeploymentSummary, DeploymentView, StepView } from '@/shared/views'
import type { WatchView } from '@/shared/watch'
import { notLive } from '../instances/health'
import { pendingSteps } from './pending-steps'

/** Maps database rows to API views. Only this file builds URLs of deployments (names come from `shared/naming.ts`). */

/** Public address of the routers. */
export interface Edge {
  scheme: 'http' | 'https'
  port: number
  baseDomain: string
}

/** Relations that `presentSummary` needs. */
export const summaryInclude = {
  environment: { select: { name: true, slug: true, liveReleaseId: true, project: { select: { id: true, name: true, slug: true } } } },
} as const satisfies Prisma.DeploymentInclude
export const viewInclude = { ...summaryInclude, steps: { orderBy: { id: 'asc' } } } as const satisfies Prisma.DeploymentInclude

export type SummaryRow = Prisma.DeploymentGetPayload<{ include: typeof summaryInclude }>
export type ViewRow = Prisma.DeploymentGetPayload<{ include: typeof viewInclude }>
type ArtifactRow = Prisma.ArtifactGetPayload<object>

const iso = (date: Date | null): string | null => date?.toISOString() ?? null
const between = (from: Date | null, to: Date | null): number | null => (from && to ? Math.max(0, to.getTime() - from.getTime()) : null)

export const projectUrl = (slug: string, edge: Edge): string => hostUrl(projectHost(slug, edge.baseDomain), edge)
const deploymentUrl = (slug: string, id: string, edge: Edge): string => hostUrl(deploymentHost(slug, id, edge.baseDomain), edge)

/** Ids of the live releases among these rows. */
export const liveReleasesOf = (rows: SummaryRow[]): string[] =>
  rows.flatMap(({ releaseId, environment }) => (releaseId !== null && environment.liveReleaseId === releaseId ? [releaseId] : []))

/** `health`: result of `readHealth`, by release id. */
export function presentSummary(row: SummaryRow, edge: Edge, health: ReadonlyMap<string, DeploymentHealth>): DeploymentSummary {
  const { project } = row.environment
  const source = row.source as unknown as SourceSpec
  return {
    id: row.id,
    projectId: row.projectId,
    projectName: project.name,
    projectSlug: project.slug,
    environmentId: row.environmentId,
    environment: row.environment.name,
    kind: row.kind.toLowerCase() as Lowercase<typeof row.kind>,
    reason: row.reason,
    pinned: row.pinnedAt !== null,
    watchUntil: iso(row.watchUntil),
    status: row.status,
    // Compare with the environment's live pointer: during a cutover the status may lag behind.
    live: row.releaseId !== null && row.environment.liveReleaseId === row.releaseId,
    health: liveReleasesOf([row]).map((id) => health.get(id))[0] ?? notLive,
    cancelRequested: row.cancelRequested,
    triggeredBy: row.triggeredBy.toLowerCase() as Lowercase<typeof row.triggeredBy>,
    createdBy: row.createdBy,
    source: source.kind === 'git' ? { kind: 'git', repository: source.url } : { kind: 'archive', repository: null },
    repeats: row.repeats,
    noCache: row.noCache,
    ref: row.ref,
    branch: row.branch,
    commitSha: row.commitSha,
    commitMessage: row.commitMessage,
    commitAuthor: row.commitAuthor,
    framework: row.framework,
    url: deploymentUrl(project.slug, row.id, edge),
    createdAt: row.createdAt.toISOString(),
    startedAt: iso(row.startedAt),
    liveAt: iso(row.liveAt),
    endedAt: iso(row.endedAt),
    durationMs: between(row.startedAt, row.liveAt ?? row.endedAt),
    error: row.error as WireError | null,
  }
}

export function presentDeployment(
  row: ViewRow,
  artifact: ArtifactRow | null,
  edge: Edge,
  health: ReadonlyMap<string, DeploymentHealth>,
): DeploymentView {
  return {
    ...presentSummary(row, edge, health),
    projectUrl: hostUrl(environmentHost(row.environment.slug, edge.baseDomain), edge),
    steps: row.steps.map(presentStep),
    timings: timingsOf(row.steps),
    watch: presentWatch(row),
    pendingSteps: pendingSteps(
      row.kind,
      row.status,
      row.steps.map(({ name }) => name),
      row.plan as unknown as BuildPlan | null,
    ),
    summary: (row.plan as unknown as BuildPlan | null)?.summary ?? null,
    artifact: artifact && { kind: artifact.kind === 'image' ? 'image' : 'bundle', digest: artifact.digest, sizeBytes: Number(artifact.sizeBytes) },
  }
}

/** A watch that another version ended has no verdict of its own in the row. */
function presentWatch({ watch, watchUntil }: ViewRow): WatchView | null {
  const view = watch as WatchView | null
  if (view?.verdict !== 'watching' || watchUntil !== null) return view
  return { ...view, verdict: 'superseded', reason: 'Another version went live before the watch had ended.' }
}

/** Milliseconds of each ended step; of a repeated step, the last attempt. `wake` is the start of instances too: a rollback may find none warm. */
function timingsOf(steps: ViewRow['steps']): Record<string, number> {
  const ended = steps.flatMap(({ name, startedAt, endedAt }) => (endedAt ? [[name, endedAt.getTime() - startedAt.getTime()] as const] : []))
  const timings = Object.fromEntries(ended)
  return timings.start === undefined ? timings : { wake: timings.start, ...timings }
}

function presentStep(step: ViewRow['steps'][number]): StepView {
  return {
    id: String(step.id),
    name: step.name,
    status: step.status,
    attempt: step.attempt,
    cached: step.cached,
    detail: step.detail,
    startedAt: step.startedAt.toISOString(),
    endedAt: iso(step.endedAt),
    durationMs: between(step.startedAt, step.endedAt),
  }
}
