import type { Runtime } from '@/runtime/driver'
import type { Instance } from '@/server/database/generated/client'
import type { HealthCheck } from '@/shared/release'
import type { ScopedClient } from '../database/scope'
import { readHealth } from '../instances/health'
import { releaseConfig, watchInstance } from '../instances/launch'
import { contentSpec, type StaticContents } from '../static-content/static-content'

export interface ServingDeps {
  db: ScopedClient
  runtime: Pick<Runtime, 'probe' | 'inspect' | 'listeners' | 'untilExit'>
  contents: Pick<StaticContents, 'locate'>
}

/** Short, because a user is waiting for the reason of the failure. */
const longestCheckMs = 5_000

/**
 * Describes what serves traffic after a failed deployment, from a fresh health check instead of recorded state.
 * `routed`: every router has acknowledged the routes in the database.
 */
export async function describeServing(deps: ServingDeps, environmentId: string, routed: boolean): Promise<string> {
  const { liveReleaseId } = await deps.db.environment.findUniqueOrThrow({ where: { id: environmentId }, select: { liveReleaseId: true } })
  if (!liveReleaseId) return 'Nothing was live before, so nothing serves yet.'
  const release = await deps.db.release.findUniqueOrThrow({ where: { id: liveReleaseId }, include: { artifact: true } })
  const live = `Deployment ${release.deploymentId} stays live`
  const routes = routed ? '' : ' Not every router has confirmed its routes; this is tried again until they have.'
  const spec = contentSpec(release.artifact)
  if (spec)
    return deps.contents.locate(release.artifact.digest, spec)
      ? `${live}: its files are where the routers read them.${routes}`
      : `${live}, but its files are not on this machine now; they are laid out again by themselves.${routes}`
  const instances = await deps.db.instance.findMany({ where: { releaseId: liveReleaseId, state: { notIn: ['starting', 'draining', 'stopped'] } } })
  return `${live}${await findOut(deps, instances, releaseConfig(release).health)}${routes}`
}

/** A sentence about trouble that a single successful health check hides, such as a crash loop. Exported for tests. */
export async function readTrouble(db: ScopedClient, releaseId: string): Promise<string> {
  const health = (await readHealth(db, [releaseId])).get(releaseId)
  return health?.message ? ` It does not serve well: ${health.message}` : ''
}

async function findOut(deps: ServingDeps, instances: Instance[], check: HealthCheck): Promise<string> {
  const once = { ...check, successes: 1, startPeriodMs: 0, timeoutMs: Math.min(check.timeoutMs, longestCheckMs) }
  let problem = 'it has no instance.'
  for (const { id, host, port, state, releaseId } of instances) {
    if (state === 'sleeping') return ' and asleep: the next request wakes it.'
    if (!host || !port) continue
    const { healthy, reason } = await deps.runtime.probe({ host, port }, once, watchInstance(deps.runtime, id))
    if (healthy) return ` and answers its health check.${await readTrouble(deps.db, releaseId)}`
    problem = reason ?? problem
  }
  return `, but does not answer at this moment: ${problem} It is started again by itself.`
}
