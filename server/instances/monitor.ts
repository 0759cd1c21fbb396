import type { Pool } from 'pg'
import type { ObservedInstance } from '@/runtime/driver'
import { mapConcurrent } from '@/runtime/pool'
import type { Instance, Prisma } from '@/server/database/generated/client'
import { runningDeploymentStatuses } from '@/shared/states'
import type { Change } from '../events/bus'
import { enqueue } from '../jobs/queue'
import { crashLoopAfter } from './crash-window'
import type { Drainer } from './drainer'
import { exitOf, type HealDeps, healDelayMs, releasesOfFiles } from './heal'
import { markStopped } from './launch'
import type { LogCollector } from './log-collector'

export type MonitorDeps = HealDeps & { pool: Pool; collector: LogCollector; drainer: Pick<Drainer, 'follow'> }

const intervalMs = 2_000
/** A change of the record that was not announced is found by then. */
const wholeRoundMs = 30_000
/** Instances looked after at the same time: after a restart of the engine all of them need it at once. */
const concurrency = 16
/** Neither instances nor routes depend on these. */
const unrelated: readonly Change['kind'][] = ['log', 'request', 'watch', 'job']

/**
 * Compares what should run with what runs, again and again: level-triggered, so that a missed event costs seconds, not truth. The runtime
 * is asked every two seconds. The record is read and the routes are computed only after a change of either, while something is not as it
 * should be, while changes cannot be heard, and every half minute.
 */
export function startMonitor(deps: MonitorDeps): { stop(): Promise<void> } {
  const stopping = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let current: Promise<void> = Promise.resolve()
  let outage = false
  const last = { seen: '', at: Number.NEGATIVE_INFINITY, isSettled: false }
  const listening = (async () => {
    for await (const _ of deps.bus.listen((change) => !unrelated.includes(change.kind), stopping.signal)) last.isSettled = false
  })()
  const isDue = () =>
    !last.isSettled || !deps.bus.isListening() || deps.routes.isBehind() || deps.collector.hasLost() || performance.now() - last.at > wholeRoundMs
  const look = async () => {
    if (!isDue() && signatureOf(await deps.runtime.list()) === last.seen) return
    // Set before the round: a change during it is looked at in the next one.
    last.isSettled = true
    last.at = performance.now()
    const { observed, isSettled } = await compare(deps, { afterOutage: outage })
    last.seen = signatureOf(observed)
    last.isSettled &&= isSettled
  }
  const tick = () => {
    current = look()
      .then(
        () => {
          outage = false
        },
        (error) => {
          outage = true
          last.isSettled = false
          deps.logger.warn({ err: error }, 'monitor: cannot compare; apps keep running, trying again')
        },
      )
      .finally(() => {
        if (!stopping.signal.aborted) timer = setTimeout(tick, intervalMs)
      })
  }
  tick()
  return {
    async stop() {
      stopping.abort()
      clearTimeout(timer)
      await Promise.all([current, listening])
    },
  }
}

const signatureOf = (observed: ObservedInstance[]): string =>
  observed
    .map(({ owner, state, address }) => `${owner.instanceId} ${state} ${address?.host}:${address?.port}`)
    .sort()
    .join('\n')

/**
 * One round, and whether all was as it should be. `afterOutage`: the runtime did not answer before, so instances that are gone died with
 * it. Exported for tests.
 */
export async function compare(
  deps: MonitorDeps,
  { afterOutage = false }: { afterOutage?: boolean } = {},
): Promise<{ observed: ObservedInstance[]; isSettled: boolean }> {
  // The record first: an instance started after this read is in neither list.
  const recorded = await deps.prisma.instance.findMany({ where: { state: { notIn: ['stopped', 'sleeping'] } } })
  const environments = await deps.prisma.environment.findMany({ where: { liveReleaseId: { not: null } } })
  const running = await deps.runtime.list()
  const observed = new Map(running.map((o) => [o.owner.instanceId, o]))
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
  // One that drains may do so for hours: the drainer looks after it.
  const isSteady = (instance: Instance) =>
    !isGone(instance) && (instance.state === 'draining' || (instance.state !== 'starting' && liveReleases.has(instance.releaseId)))
  let isSettled = recorded.every(isSteady)
  await mapConcurrent(recorded, concurrency, (instance) =>
    attend(instance).catch((error) => {
      isSettled = false
      deps.logger.warn({ err: error, instance: instance.id }, 'monitor: an instance cannot be looked after; trying again')
    }),
  )
  // One that is still starting serves nobody; the job that starts it is not queued a second time.
  const alive = new Set(recorded.filter((i) => i.state !== 'starting' && !isGone(i)).map((i) => i.releaseId))
  const dead = environments.filter((e) => e.liveReleaseId !== null && !alive.has(e.liveReleaseId))
  const ofFiles = await releasesOfFiles(
    deps,
    dead.map((e) => e.liveReleaseId ?? ''),
  )
  await mapConcurrent(dead, concurrency, async (environment) => {
    if (!environment.liveReleaseId || ofFiles.has(environment.liveReleaseId)) return
    isSettled = false
    await requestHeal(deps, environment, environment.liveReleaseId)
  })
  await deps.routes.sync()
  return { observed: running, isSettled }
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
  deps: Pick<MonitorDeps, 'prisma' | 'pool'>,
  { id: environmentId, teamId }: { id: string; teamId: string },
  releaseId: string,
): Promise<void> {
  const exclusiveKey = `heal:${environmentId}`
  const pending = await deps.prisma.job.count({ where: { exclusiveKey, state: { in: ['queued', 'running'] } } })
  if (pending > 0) return
  await enqueue(deps.pool, 'heal', { environmentId }, { exclusiveKey, fairKey: teamId, delayMs: await healDelayMs(deps.prisma, releaseId) })
}
