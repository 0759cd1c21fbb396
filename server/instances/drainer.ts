import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Runtime } from '@/runtime/driver'
import type { Instance, PrismaClient } from '@/server/database/generated/client'
import { defaultRuntimeSettings } from '@/shared/runtime-settings'
import { readSettings } from '../environments/settings'
import type { ChangeBus } from '../events/bus'
import type { RoutePublisher } from '../routes/publisher'
import { stopInstances } from './stop'

/**
 * Drains replaced instances: no new requests, then wait for open requests, then freeze those of the version kept warm and stop the others.
 * State is in the database, so a restart resumes.
 */
export interface Drainer {
  /** Starts or resumes the drain of a draining instance. Resolves when it is stopped, or with this process. */
  follow(instance: Instance): Promise<void>
  stop(): Promise<void>
}

export interface DrainerDeps {
  prisma: PrismaClient
  runtime: Pick<Runtime, 'drain' | 'inspect' | 'stop' | 'sleep'>
  routes: Pick<RoutePublisher, 'sync'>
  /** Open requests and upgraded connections per instance, summed over all routers. */
  inFlight(instanceIds: string[]): Promise<Record<string, number>>
  /** Makes the routers close open connections to the instances; WebSockets receive a close frame. */
  endConnections(instanceIds: string[]): Promise<void>
  bus: Pick<ChangeBus, 'publish'>
  logger: Logger
}

/** Most drains end within seconds: poll quickly at first, later once a second, reading the settings again each time. */
const firstLook = { forMs: 5_000, everyMs: 50 }
const laterLooks = { forMs: 5_000, everyMs: 1_000 }
const retryMs = 2_000

/** Creates the drainer of a worker process. */
export function createDrainer(deps: DrainerDeps): Drainer {
  const following = new Map<string, Promise<void>>()
  const stopping = new AbortController()
  const { signal } = stopping

  async function end(instance: Instance): Promise<void> {
    while (!signal.aborted) {
      try {
        return await drainAndStop(deps, instance, signal)
      } catch (error) {
        if (signal.aborted) return
        deps.logger.warn({ err: error, instance: instance.id }, 'a replaced instance cannot be ended yet; trying again')
        await sleep(retryMs, undefined, { signal }).catch(() => {})
      }
    }
  }

  return {
    follow(instance) {
      const current = following.get(instance.id)
      if (current) return current
      const work = end(instance).finally(() => following.delete(instance.id))
      following.set(instance.id, work)
      return work
    },
    async stop() {
      stopping.abort(new Error('the drainer stops'))
      await Promise.all(following.values())
    },
  }
}

async function drainAndStop(deps: DrainerDeps, given: Instance, signal: AbortSignal): Promise<void> {
  // Every router must have stopped sending new requests before open requests are counted.
  await deps.routes.sync()
  const { drained, row: instance } = await drain(deps, given, signal)
  signal.throwIfAborted()
  if (!instance) return
  const drainedAt = new Date()
  // A rollback may have taken the instance back; from here on none can.
  const { count } = await deps.prisma.instance.updateMany({ where: { id: instance.id, state: 'draining' }, data: { endingAt: drainedAt } })
  if (count === 0) return
  if (!drained) await deps.endConnections([instance.id]).catch((error) => deps.logger.warn({ err: error }, 'routers did not end what was open'))
  const warmUntil = await freezeIfWarm(deps, instance)
  if (!warmUntil) await stopInstances(deps, [instance])
  await endSteps(deps, instance, { drained, drainedAt, warmUntil })
  const { teamId, projectId } = instance
  await deps.bus.publish({ kind: 'instance', id: instance.id, teamId, projectId })
  if (instance.replacedBy) await deps.bus.publish({ kind: 'deployment', id: instance.replacedBy, teamId, projectId })
}

/** Freezes an instance of the version that is kept warm. Returns until when; null: its release is not kept warm, so it has to stop. */
async function freezeIfWarm({ prisma, runtime }: DrainerDeps, { id, releaseId }: Instance): Promise<Date | null> {
  const release = await prisma.release.findUnique({ where: { id: releaseId }, select: { wanted: true, warmUntil: true } })
  const warmUntil = release?.wanted === 'warm' ? release.warmUntil : null
  if (!warmUntil || warmUntil.getTime() <= Date.now()) return null
  if ((await runtime.inspect(id))?.state === 'exited') return null
  await runtime.sleep(id)
  await prisma.instance.updateMany({ where: { id, state: 'draining' }, data: { state: 'sleeping', endingAt: null } })
  return warmUntil
}

/**
 * Waits for the end of what is open. `drained` false: the deadline passed. `row`: the instance as it drains now, read anew at each look,
 * because a rollback may take it back and a later switch may replace it again; null: it drains no more.
 */
async function drain(deps: DrainerDeps, { id }: Instance, signal: AbortSignal): Promise<{ drained: boolean; row: Instance | null }> {
  const inFlight = async () => Object.values(await deps.inFlight([id])).reduce((sum, n) => sum + n, 0)
  const read = async () => {
    const row = await deps.prisma.instance.findUnique({ where: { id } })
    return row?.state === 'draining' ? row : null
  }
  for (let look = firstLook; !signal.aborted; look = laterLooks) {
    const row = await read()
    if (!row) return { drained: true, row: null }
    const leftMs = Math.max(0, (await deadlineOf(deps.prisma, row)) - Date.now())
    const { drained } = await deps.runtime.drain({ inFlight, deadlineMs: Math.min(leftMs, look.forMs), pollMs: look.everyMs, signal })
    if (drained) return { drained: true, row: await read() }
    const current = await read()
    if (leftMs <= look.forMs && (!current || (await deadlineOf(deps.prisma, current)) <= Date.now())) return { drained: false, row: current }
  }
  return { drained: false, row: null }
}

/** Reads the drain timeout anew: users may change it during a drain. The deadline is now when too many releases drain. */
async function deadlineOf(prisma: PrismaClient, { id, environmentId, releaseId, drainingSince }: Instance): Promise<number> {
  const { drainSeconds, drainVersions } = (await readSettings(prisma, [environmentId])).get(environmentId) ?? defaultRuntimeSettings
  const since = drainingSince ?? new Date(0)
  const newer = await prisma.instance.findMany({
    where: { environmentId, state: 'draining', id: { not: id }, releaseId: { not: releaseId }, drainingSince: { gt: since } },
    distinct: ['releaseId'],
    select: { releaseId: true },
  })
  return newer.length >= drainVersions ? 0 : since.getTime() + drainSeconds * 1000
}

/** Ends the deployment's steps "drain" and "stop" after the last instance it replaced. */
async function endSteps(
  deps: DrainerDeps,
  instance: Instance,
  { drained, drainedAt, warmUntil }: { drained: boolean; drainedAt: Date; warmUntil: Date | null },
): Promise<void> {
  const { replacedBy, teamId, drainingSince } = instance
  if (!replacedBy) return
  const left = await deps.prisma.instance.count({ where: { replacedBy, state: 'draining' } })
  if (left > 0) return
  const waitedMs = drainedAt.getTime() - (drainingSince ?? drainedAt).getTime()
  const detail = drained ? `idle after ${waitedMs} ms` : 'deadline reached with requests open: they were ended'
  await deps.prisma.$transaction(async (tx) => {
    const { count } = await tx.step.updateMany({
      where: { deploymentId: replacedBy, name: 'drain', status: 'running' },
      data: { status: 'done', endedAt: drainedAt, detail },
    })
    if (count > 0)
      await tx.step.create({
        data: {
          teamId,
          deploymentId: replacedBy,
          name: warmUntil ? 'keep' : 'stop',
          status: 'done',
          startedAt: drainedAt,
          endedAt: new Date(),
          detail: warmUntil ? `the version before stays warm until ${warmUntil.toISOString()}` : null,
        },
      })
  })
}
