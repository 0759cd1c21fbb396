import type { Pool } from 'pg'
import type { ObservedInstance } from '@/runtime/driver'
import { mapConcurrent } from '@/runtime/pool'
import type { Instance, Prisma } from '@/server/database/generated/client'
import { runningDeploymentStatuses } from '@/shared/states'
import { enqueue } from '../jobs/queue'
import { crashLoopAfter } from './crash-window'
import type { Drainer } from './drainer'
import { exitOf, type HealDeps, healDelayMs, releasesOfFiles } from './heal'
import { markStopped } from './launch'
import type { LogCollector } from './log-collector'

export type MonitorDeps = HealDeps & { pool: Pool; collector: LogCollector; drainer: Pick<Drainer, 'follow'> }

const intervalMs = 2_000
/** Instances looked after at the same time: after a restart of the engine all of them need it at once. */
const concurrency = 16

/** Compares what should run with what runs, again and again: level-triggered, so that a missed event costs seconds, not truth. */
export function startMonitor(deps: MonitorDeps): { stop(): Promise<void> } {
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  let current: Promise<void> = Promise.resolve()
  let outage = false
  const tick = () => {
    current = compare(deps, { afterOutage: outage })
      .then(
        () => {
          outage = false
        },
        (error) => {
          outage = true
          deps.logger.warn({ err: error }, 'monitor: cannot compare; apps keep running, trying again')
        },
      )
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

/** One round. `afterOutage`: the runtime did not answer before, so instances that are gone died with it. Exported for tests. */
export async function compare(deps: MonitorDeps, { afterOutage = false }: { afterOutage?: boolean } = {}): Promise<void> {
  // The record first: an instance started after this read is in neither list.
  const recorded = await deps.prisma.instance.findMany({ where: { state: { notIn: ['stopped', 'sleeping'] } } })
  const environments = await deps.prisma.environment.findMany({ where: { liveReleaseId: { not: null } } })
  const observed = new Map((await deps.runtime.list()).map((o) => [o.owner.instanceId, o]))
  const liveReleases = new Set(environments.map((e) => e.liveReleaseId))
  const isGone = (instance: Instance) => (observed.get(instance.id)?.state ?? 'exited') === 'exited'
  // Several apps that end within one round did not crash one by one.
  const byEngine = afterOutage || (recorded.length > 2 && recorded.every(isGone))
  const attend = async (instance: Instance) => {
    if (instance.state === 'draining') {
      if (!isGone(instance)) deps.collector.follow(instance)
      void deps.drainer.follow(instance)
    } else if (!liveReleases.has(instance.releaseId)) await removeLeftover(deps, instance)
    // A starting one belongs to whoever starts it.
    else if (instance.state === 'starting') return
    else if (isGone(instance)) await recordDeath(deps, instance, observed.get(instance.id) ?? null, byEngine)
    else deps.collector.follow(instance)
  }
  await mapConcurrent(recorded, concurrency, (instance) =>
    attend(instance).catch((error) =>
      deps.logger.warn({ err: error, instance: instance.id }, 'monitor: an instance cannot be looked after; trying again'),
    ),
  )
  const alive = new Set(recorded.filter((i) => !isGone(i)).map((i) => i.releaseId))
  const dead = environments.filter((e) => e.liveReleaseId !== null && !alive.has(e.liveReleaseId))
  const ofFiles = await releasesOfFiles(
    deps,
    dead.map((e) => e.liveReleaseId ?? ''),
  )
  await mapConcurrent(dead, concurrency, async (environment) => {
    if (environment.liveReleaseId && !ofFiles.has(environment.liveReleaseId)) await requestHeal(deps, environment, environment.liveReleaseId)
  })
  await deps.routes.sync()
}

async function recordDeath(deps: MonitorDeps, instance: Instance, seen: ObservedInstance | null, byEngine: boolean): Promise<void> {
  const exit: Prisma.InputJsonObject = { ...exitOf(seen), ...(byEngine ? { byEngine } : {}) }
  await deps.collector.finish(instance.id)
  await deps.runtime.stop(instance.id, 0)
  await markStopped(deps.prisma, instance.id, exit)
  await deps.bus.publish({ kind: 'instance', id: instance.id, teamId: instance.teamId, projectId: instance.projectId })
  const why = byEngine
    ? 'ended together with the container engine or the machine'
    : exit.outOfMemory
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

/** Runs, but nothing points to it and no deployment is under way that would take it out of the routes. */
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
  if (environment?.liveReleaseId === instance.releaseId) return
  deps.logger.warn({ instance: instance.id }, 'removing an instance that nothing points to')
  const drainingSince = new Date()
  await deps.prisma.instance.updateMany({ where: { id: instance.id, state: { not: 'stopped' } }, data: { state: 'draining', drainingSince } })
  void deps.drainer.follow({ ...instance, state: 'draining', drainingSince })
}

/** Queues the start of an environment's live release, unless it is queued. */
export async function requestHeal(
  deps: Pick<MonitorDeps, 'prisma' | 'pool' | 'bus'>,
  { id: environmentId, teamId }: { id: string; teamId: string },
  releaseId: string,
): Promise<void> {
  const exclusiveKey = `heal:${environmentId}`
  const pending = await deps.prisma.job.count({ where: { exclusiveKey, state: { in: ['queued', 'running'] } } })
  if (pending > 0) return
  await enqueue(deps.pool, 'heal', { environmentId }, { exclusiveKey, fairKey: teamId, delayMs: await healDelayMs(deps.prisma, releaseId) })
  await deps.bus.publish({ kind: 'job', id: environmentId, teamId: null, projectId: null })
}
