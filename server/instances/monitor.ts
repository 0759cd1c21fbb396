import type { Pool } from 'pg'
import type { ObservedInstance } from '@/runtime/driver'
import type { Instance } from '@/server/database/generated/client'
import { runningDeploymentStatuses } from '@/shared/states'
import { drainAndStop, type RetireDeps } from '../deployments/retire'
import { enqueue } from '../jobs/queue'
import { crashLoopAfter, exitOf, type HealDeps, healDelayMs, releasesOfFiles } from './heal'
import { markStopped } from './launch'
import type { LogCollector } from './log-collector'

export type MonitorDeps = HealDeps & RetireDeps & { pool: Pool; collector: LogCollector }

const intervalMs = 2_000

/** Compares what should run with what runs, again and again: level-triggered, so that a missed event costs seconds, not truth. */
export function startMonitor(deps: MonitorDeps): { stop(): Promise<void> } {
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  let current: Promise<void> = Promise.resolve()
  const tick = () => {
    current = compare(deps)
      .catch((error) => deps.logger.warn({ err: error }, 'monitor: cannot compare; apps keep running, trying again'))
      .finally(() => {
        if (!stopped) timer = setTimeout(tick, intervalMs)
      })
  }
  tick()
  return {
    async stop() {
      stopped = true
      clearTimeout(timer)
      await current
    },
  }
}

/** One round. Exported for tests and for start-up. */
export async function compare(deps: MonitorDeps): Promise<void> {
  // The record first: an instance started after this read is in neither list.
  const recorded = await deps.prisma.instance.findMany({ where: { state: { notIn: ['stopped', 'sleeping'] } } })
  const environments = await deps.prisma.environment.findMany({ where: { liveReleaseId: { not: null } } })
  const observed = new Map((await deps.runtime.list()).map((o) => [o.owner.instanceId, o]))
  const liveReleases = new Set(environments.map((e) => e.liveReleaseId))
  for (const instance of recorded) {
    const seen = observed.get(instance.id) ?? null
    const gone = !seen || seen.state === 'exited'
    if (!liveReleases.has(instance.releaseId) || instance.state === 'draining') await removeLeftover(deps, instance)
    // A starting one belongs to whoever starts it.
    else if (instance.state === 'starting') continue
    else if (gone) await recordDeath(deps, instance, seen)
    else deps.collector.follow(instance)
  }
  const alive = new Set(recorded.filter((i) => (observed.get(i.id)?.state ?? 'exited') !== 'exited').map((i) => i.releaseId))
  const dead = environments.filter((e) => e.liveReleaseId !== null && !alive.has(e.liveReleaseId))
  const ofFiles = await releasesOfFiles(
    deps,
    dead.map((e) => e.liveReleaseId ?? ''),
  )
  for (const environment of dead)
    if (environment.liveReleaseId && !ofFiles.has(environment.liveReleaseId)) await requestHeal(deps, environment.id, environment.liveReleaseId)
  await deps.routes.sync()
}

async function recordDeath(deps: MonitorDeps, instance: Instance, seen: ObservedInstance | null): Promise<void> {
  const exit = exitOf(seen)
  await deps.collector.finish(instance.id)
  await deps.runtime.stop(instance.id, 0)
  await markStopped(deps.prisma, instance.id, exit)
  await deps.bus.publish({ kind: 'instance', id: instance.id, teamId: instance.teamId, projectId: instance.projectId })
  const why = exit.outOfMemory
    ? 'ran out of memory'
    : exit.signal
      ? `was ended by ${exit.signal}`
      : exit.code === null
        ? 'is gone'
        : `exited with code ${exit.code}`
  const loop = instance.restarts >= crashLoopAfter ? ' It is in a crash loop; the pause before each start grows to a minute.' : ''
  deps.collector.note(instance, `Instance ${instance.id} ${why}. It is started again.${loop}`)
  deps.logger.warn({ instance: instance.id, exit }, 'instance died')
}

/** Runs, but nothing points to it and no deployment is under way that would remove it. */
async function removeLeftover(deps: MonitorDeps, instance: Instance): Promise<void> {
  const busy = await deps.prisma.deployment.count({
    where: { environmentId: instance.environmentId, status: { in: runningDeploymentStatuses } },
  })
  const retiring = await deps.prisma.job.count({
    where: { exclusiveKey: `environment:${instance.environmentId}`, state: { in: ['queued', 'running'] } },
  })
  if (busy + retiring > 0) return
  // Read last: this round began before a deployment may have ended, and what it found useless may be what is live by now.
  const environment = await deps.prisma.environment.findUnique({ where: { id: instance.environmentId }, select: { liveReleaseId: true } })
  if (environment?.liveReleaseId === instance.releaseId && instance.state !== 'draining') return
  deps.logger.warn({ instance: instance.id }, 'removing an instance that nothing points to')
  await drainAndStop(deps, [instance])
}

async function requestHeal(deps: MonitorDeps, environmentId: string, releaseId: string): Promise<void> {
  const exclusiveKey = `heal:${environmentId}`
  const pending = await deps.prisma.job.count({ where: { exclusiveKey, state: { in: ['queued', 'running'] } } })
  if (pending > 0) return
  await enqueue(deps.pool, 'heal', { environmentId }, { exclusiveKey, delayMs: await healDelayMs(deps.prisma, releaseId) })
  await deps.bus.publish({ kind: 'job', id: environmentId, teamId: null, projectId: null })
}
