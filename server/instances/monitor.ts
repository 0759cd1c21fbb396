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
import { markStopped, releaseConfig } from './launch'
import type { LogCollector } from './log-collector'

export type MonitorDeps = HealDeps & { pool: Pool; collector: LogCollector; drainer: Pick<Drainer, 'follow'> }

const intervalMs = 2_000
/** Interval of full comparisons: finds database changes whose notification was lost. */
const fullRoundMs = 30_000
/** Longer than any stop takes: an instance that is recorded as stopped and still runs has been forgotten by its worker. */
const orphanAfterMs = 60_000
/** Instances handled in parallel: after a restart of the container engine all instances need handling. */
const concurrency = 16
/** Kinds of change that affect neither instances nor routes. */
const unrelated: readonly Change['kind'][] = ['log', 'request', 'watch', 'job', 'access', 'event', 'delivery', 'git-delivery', 'report', 'nats']

/**
 * Repeatedly compares desired with observed instances. Level-triggered: a missed event costs seconds, not correctness. Lists the runtime's
 * instances every two seconds. Reads the database and computes routes only after a change in either, while the two differ, while the
 * change bus is disconnected, and every 30 seconds.
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
    !last.isSettled || !deps.bus.isListening() || deps.routes.isBehind() || deps.collector.hasLost() || performance.now() - last.at > fullRoundMs
  const look = async () => {
    if (!isDue() && signatureOf(await deps.runtime.list()) === last.seen) return
    // Set before the round: a change during this round triggers the next round.
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
 * Runs one round. Returns whether desired and observed state agree. `afterOutage`: the runtime did not answer the previous round, so missing
 * instances died with the engine. Exported for tests.
 */
export async function compare(
  deps: MonitorDeps,
  { afterOutage = false }: { afterOutage?: boolean } = {},
): Promise<{ observed: ObservedInstance[]; isSettled: boolean }> {
  // Read the database before the runtime: in the other order, an instance started in between would be recorded but not listed, and look dead.
  const recorded = await deps.prisma.instance.findMany({ where: { state: { not: 'stopped' } } })
  const environments = await deps.prisma.environment.findMany({ where: { liveReleaseId: { not: null } } })
  const wanted = await wantedReleases(deps.prisma, environments)
  const running = await deps.runtime.list()
  const observed = new Map(running.map((o) => [o.owner.instanceId, o]))
  const liveReleases = new Set(environments.map((e) => e.liveReleaseId))
  const isGone = (instance: Instance) => (observed.get(instance.id)?.state ?? 'exited') === 'exited'
  // When all of several apps exit within a single round, the engine or machine ended them, not a bug of each app.
  const byEngine = afterOutage || (recorded.length > 2 && recorded.every(isGone))
  const attend = async (instance: Instance) => {
    if (instance.state === 'draining') {
      if (!isGone(instance)) deps.collector.follow(instance)
      void deps.drainer.follow(instance)
    } else if (instance.state === 'sleeping') await attendFrozen(deps, instance, { isGone: isGone(instance), isWanted: isFrozenWanted(instance) })
    else if (!liveReleases.has(instance.releaseId)) await removeLeftover(deps, instance)
    // The job that starts an instance owns it until the start ends.
    else if (instance.state === 'starting') return
    else if (isGone(instance)) await recordDeath(deps, instance, observed.get(instance.id) ?? null, byEngine)
    else deps.collector.follow(instance)
  }
  const isFrozenWanted = ({ releaseId }: Instance) => liveReleases.has(releaseId) || wanted.warm.has(releaseId)
  // A draining instance may take hours: the drainer handles it, so it counts as steady.
  const isSteady = (instance: Instance) => {
    if (isGone(instance)) return false
    if (instance.state === 'sleeping') return isFrozenWanted(instance)
    return instance.state === 'draining' || (instance.state !== 'starting' && liveReleases.has(instance.releaseId))
  }
  let isSettled = recorded.every(isSteady)
  await mapConcurrent(recorded, concurrency, (instance) =>
    attend(instance).catch((error) => {
      isSettled = false
      deps.logger.warn({ err: error, instance: instance.id }, 'monitor: an instance cannot be looked after; trying again')
    }),
  )
  // A starting instance serves no traffic yet; its heal job is already queued and is not queued twice.
  const alive = Map.groupBy(
    recorded.filter((i) => i.state !== 'starting' && i.state !== 'draining' && !isGone(i)),
    (i) => i.releaseId,
  )
  const isShort = (releaseId: string) => (alive.get(releaseId)?.length ?? 0) < (wanted.instances.get(releaseId) ?? 1)
  const dead = environments.filter((e) => e.liveReleaseId !== null && isShort(e.liveReleaseId))
  const ofFiles = await releasesOfFiles(
    deps,
    dead.map((e) => e.liveReleaseId ?? ''),
  )
  await mapConcurrent(dead, concurrency, async (environment) => {
    if (!environment.liveReleaseId || ofFiles.has(environment.liveReleaseId)) return
    isSettled = false
    await requestHeal(deps, environment, environment.liveReleaseId)
  })
  await removeOrphans(deps, running, new Set(recorded.map(({ id }) => id)))
  await deps.routes.sync()
  return { observed: running, isSettled }
}

/** Number of instances that each live release wants, and the releases that are kept warm at this time. Exported for the reconciliation at the start. */
export async function wantedReleases(
  prisma: MonitorDeps['prisma'],
  environments: { liveReleaseId: string | null }[],
): Promise<{ instances: Map<string, number>; warm: Set<string> }> {
  const live = environments.flatMap((e) => e.liveReleaseId ?? [])
  const releases = await prisma.release.findMany({
    where: { OR: [{ id: { in: live } }, { wanted: 'warm', warmUntil: { gt: new Date() } }] },
    select: { id: true, config: true, wanted: true },
  })
  return {
    instances: new Map(releases.map((release) => [release.id, releaseConfig(release).instances])),
    warm: new Set(releases.filter(({ wanted }) => wanted === 'warm').map(({ id }) => id)),
  }
}

/** Records the end of a frozen instance, or ends it when its version is no longer kept warm. */
async function attendFrozen(deps: MonitorDeps, instance: Instance, { isGone, isWanted }: { isGone: boolean; isWanted: boolean }): Promise<void> {
  if (isGone) {
    await deps.runtime.stop(instance.id, 0)
    await markStopped(deps.prisma, instance.id, null)
  } else if (!isWanted) {
    const drainingSince = new Date()
    const { count } = await deps.prisma.instance.updateMany({
      where: { id: instance.id, state: 'sleeping' },
      data: { state: 'draining', drainingSince },
    })
    if (count > 0) void deps.drainer.follow({ ...instance, state: 'draining', drainingSince })
  }
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

/**
 * Ends instances of this installation that the record does not know, or has known as stopped for a while: a process died between the
 * record and the side effect. Instances of others carry another label and are never listed.
 */
async function removeOrphans(deps: MonitorDeps, running: ObservedInstance[], recorded: Set<string>): Promise<void> {
  const unknown = running.map(({ owner }) => owner.instanceId).filter((id) => !recorded.has(id))
  if (unknown.length === 0) return
  // Read again after the listing: an instance that was started in between is in the record now.
  const rows = await deps.prisma.instance.findMany({ where: { id: { in: unknown } }, select: { id: true, state: true, stoppedAt: true } })
  const known = new Map(rows.map((row) => [row.id, row]))
  const isOrphan = (id: string) => {
    const row = known.get(id)
    return !row || (row.state === 'stopped' && Number(row.stoppedAt) < Date.now() - orphanAfterMs)
  }
  await mapConcurrent(unknown.filter(isOrphan), concurrency, async (id) => {
    deps.logger.warn({ instance: id }, 'removing an instance that the record does not know')
    await deps.runtime.stop(id, 5_000)
  })
}

/** Removes an instance that runs although no live pointer refers to it and no running deployment will retire it. */
async function removeLeftover(deps: MonitorDeps, instance: Instance): Promise<void> {
  const busy = await deps.prisma.deployment.count({
    where: { environmentId: instance.environmentId, status: { in: runningDeploymentStatuses } },
  })
  const retiring = await deps.prisma.job.count({
    where: { exclusiveKey: `environment:${instance.environmentId}`, state: { in: ['queued', 'running'] } },
  })
  if (busy + retiring > 0) return
  // Read the live pointer again: a deployment may have ended during this round and made this release live.
  const environment = await deps.prisma.environment.findUnique({ where: { id: instance.environmentId }, select: { liveReleaseId: true } })
  if (environment?.liveReleaseId === instance.releaseId) return
  deps.logger.warn({ instance: instance.id }, 'removing an instance that nothing points to')
  const drainingSince = new Date()
  await deps.prisma.instance.updateMany({ where: { id: instance.id, state: { not: 'stopped' } }, data: { state: 'draining', drainingSince } })
  void deps.drainer.follow({ ...instance, state: 'draining', drainingSince })
}

/** Queues a heal job for the environment's live release, unless it is already queued. */
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
