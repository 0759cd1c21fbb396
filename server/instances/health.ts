import type { DeploymentHealth } from '@/shared/views'
import type { ScopedClient } from '../database/scope'
import { contentSpec } from '../static-content/static-content'
import { crashLoopAfter, crashLoopWhileDown, crashWindowMs, settledAfterMs } from './crash-window'

/** Health of a deployment that is not live. */
export const notLive: DeploymentHealth = { state: 'none', message: null, since: null }

export interface InstanceRecord {
  state: string
  createdAt: Date
  startedAt: Date | null
  stoppedAt: Date | null
  drainingSince: Date | null
  exit: unknown
}

const isByEngine = (exit: unknown): boolean => (exit as { byEngine?: boolean } | null)?.byEngine === true
const iso = (date: Date | undefined | null): string | null => date?.toISOString() ?? null
const minutes = crashWindowMs / 60_000

/** Instances that exited within the crash window and were not replaced on purpose, oldest first. */
const recentEnds = (instances: InstanceRecord[], now: number): InstanceRecord[] =>
  instances
    .filter(({ state, stoppedAt, drainingSince }) => state === 'stopped' && drainingSince === null && Number(stoppedAt) > now - crashWindowMs)
    .sort((a, b) => Number(a.stoppedAt) - Number(b.stoppedAt))

/** Health of a live release, computed from its current instances and those that exited within the crash window. */
export function judgeHealth(instances: InstanceRecord[], now = Date.now()): DeploymentHealth {
  const inState = (...states: string[]) => instances.find(({ state }) => states.includes(state))
  const serving = inState('healthy', 'sleeping')
  const ended = recentEnds(instances, now)
  // Do not blame the app for instances that the engine could not start or that died with the engine.
  const crashes = ended.filter(({ exit, startedAt }) => startedAt !== null && !isByEngine(exit))
  if (isCrashLoop(crashes, serving !== undefined, now)) return crashing(crashes, serving !== undefined)
  if (serving) return { state: 'healthy', message: null, since: iso(serving.startedAt ?? serving.createdAt) }
  const starting = inState('starting')
  if (starting)
    return { state: 'starting', message: 'An instance is being started. Visitors get errors until it answers.', since: iso(starting.createdAt) }
  return down(inState('unhealthy'), ended.at(-1))
}

function isCrashLoop(crashes: InstanceRecord[], serving: boolean, now: number): boolean {
  if (!serving) return crashes.length >= crashLoopWhileDown
  return crashes.length >= crashLoopAfter && Number(crashes.at(-1)?.stoppedAt) > now - settledAfterMs
}

function crashing(crashes: InstanceRecord[], serving: boolean): DeploymentHealth {
  const count = `${crashes.length} times in the last ${minutes} minutes`
  const effect = serving ? 'Visitors get errors whenever it restarts.' : 'Visitors get errors until the next start succeeds.'
  const message = `The app keeps crashing: its instances ended or failed the health check ${count}. ${effect} The runtime logs say why.`
  return { state: 'crashing', message, since: iso(crashes[0]?.stoppedAt) }
}

function down(unhealthy: InstanceRecord | undefined, last: InstanceRecord | undefined): DeploymentHealth {
  if (unhealthy)
    return { state: 'down', message: 'The instance runs, but fails its health check. Visitors may get errors.', since: iso(unhealthy.startedAt) }
  const message =
    last && last.startedAt === null
      ? 'An instance could not be started. Visitors get errors. Switchyard tries again.'
      : 'No instance is running. Visitors get errors. Switchyard starts a new instance.'
  return { state: 'down', message, since: iso(last?.stoppedAt) }
}

/** Health by release id, in a single query for the whole list. Static sites are healthy without an instance. */
export async function readHealth(db: ScopedClient, releaseIds: string[]): Promise<Map<string, DeploymentHealth>> {
  if (releaseIds.length === 0) return new Map()
  const after = new Date(Date.now() - crashWindowMs)
  const releases = await db.release.findMany({
    where: { id: { in: releaseIds } },
    select: {
      id: true,
      artifact: { select: { content: true } },
      instances: {
        where: { OR: [{ state: { not: 'stopped' } }, { stoppedAt: { gt: after } }] },
        select: { state: true, createdAt: true, startedAt: true, stoppedAt: true, drainingSince: true, exit: true },
      },
    },
  })
  return new Map(
    releases.map(({ id, artifact, instances }) => [
      id,
      contentSpec(artifact) ? { state: 'healthy', message: null, since: null } : judgeHealth(instances),
    ]),
  )
}
