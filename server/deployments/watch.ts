import { setTimeout as wait } from 'node:timers/promises'
import type { Pool } from 'pg'
import type { Logger } from 'pino'
import { mapConcurrent } from '@/runtime/pool'
import type { Deployment, PrismaClient } from '@/server/database/generated/client'
import { isAppError } from '@/shared/errors'
import { latencyBoundsMs } from '@/shared/link'
import { runningDeploymentStatuses } from '@/shared/states'
import { percentile } from '@/shared/traffic'
import type { WatchView } from '@/shared/watch'
import type { Actor } from '../actor'
import { type ScopedClient, type ScopedTransaction, scopeTo } from '../database/scope'
import { settingsOf, settingsSelect } from '../environments/settings'
import type { ChangeBus } from '../events/bus'
import { judgeHealth } from '../instances/health'
import { createLogWriter } from './log-writer'
import { rollBackTo } from './release'
import { between, minRequests, moreErrors, type Sample, slower } from './watch-judge'

export interface WatchDeps {
  prisma: PrismaClient
  pool: Pool
  bus: ChangeBus
  logger: Logger
}

const roundMs = 2_000
/** Deployments looked at in parallel. */
const concurrency = 4
/** Counts of the routers arrive this much later: reported every second, written every two. */
const lagMs = 4_000
/** Figures are judged over the last half minute and minute, too: a fault that begins late is diluted in the whole. */
const shortWindowsMs = [30_000, 60_000]
const longestWindowMs = 60_000
/** An app that has just started is slow; its first answers are no measure of its speed. */
const warmUpMs = 30_000
/** Time that slow answers must cover. */
const sustainedMs = 20_000
/** Rounds in a row that must find a version worse. */
const wantedRounds = 3
/** The version before is measured over this time before the switch, or over the longer one when it had few visitors. */
const baselinesMs = [30 * 60_000, 24 * 3_600_000]
const saveEveryMs = 5_000

/** Kept in memory to judge recent figures. After a restart the figures since the switch remain. */
interface Seen {
  counts: { at: number; sample: Sample }[]
  rounds: number
  savedAt: number
}

type Watched = Deployment & { liveAt: Date; watchUntil: Date }

/** Another switch of the environment is under way, or the deployment is not the live one any more. */
class Overtaken extends Error {}

/**
 * Compares each deployment that went live with the version before, until the end of its watch window, and goes back when it is worse. All
 * that decides is in the database, so a restart of this process continues a watch.
 */
export function createWatch(deps: WatchDeps): { round(now?: number): Promise<void> } {
  const seen = new Map<string, Seen>()
  return {
    async round(now = Date.now()) {
      const watched = await deps.prisma.deployment.findMany({ where: { status: 'ACTIVE', watchUntil: { not: null }, liveAt: { not: null } } })
      const ids = new Set(watched.map(({ id }) => id))
      for (const id of seen.keys()) if (!ids.has(id)) seen.delete(id)
      await mapConcurrent(watched as Watched[], concurrency, async (deployment) => {
        const memory = seen.get(deployment.id) ?? { counts: [], rounds: 0, savedAt: 0 }
        seen.set(deployment.id, memory)
        await look(deps, deployment, memory, now).catch((error) =>
          deps.logger.warn({ err: error, deployment: deployment.id }, 'watch: a deployment cannot be judged; trying again'),
        )
      })
    },
  }
}

/** Runs rounds until stopped. */
export function startWatch(deps: WatchDeps): { stop(): Promise<void> } {
  const watch = createWatch(deps)
  const stopping = new AbortController()
  const ended = (async () => {
    while (!stopping.signal.aborted) {
      await watch.round().catch((error) => deps.logger.warn({ err: error }, 'watch: cannot look; trying again'))
      await wait(roundMs, undefined, { signal: stopping.signal }).catch(() => {})
    }
  })()
  return {
    async stop() {
      stopping.abort()
      await ended
    },
  }
}

async function look(deps: WatchDeps, deployment: Watched, memory: Seen, now: number): Promise<void> {
  const db = scopeTo(deps.prisma, deployment)
  const context = await readContext(db, deployment)
  if (!context) return
  const { before, bounds } = context
  const total = await readSample(deps.pool, deployment, deployment, { from: deployment.liveAt.getTime(), to: now })
  const usual = await readBaseline(deps.pool, deployment, before)
  remember(memory, total, now)
  const found = context.isClosed ? null : ((await crashes(db, deployment, before)) ?? worse(deployment, memory, { total, usual, bounds, now }))
  memory.rounds = found ? memory.rounds + 1 : 0
  const view = (verdict: WatchView['verdict'], reason: string, sample = total): WatchView => ({
    verdict,
    reason,
    now: { deploymentId: deployment.id, ...figuresOf(sample) },
    before: { deploymentId: before.id, ...figuresOf(usual) },
    bounds,
    rollbackId: null,
    decidedAt: verdict === 'watching' ? null : new Date(now).toISOString(),
  })
  if (found && (found.isCertain || memory.rounds >= wantedRounds)) return goBack(deps, db, deployment, view('worse', found.reason, found.sample))
  if (!found && now > deployment.watchUntil.getTime() + lagMs) {
    const [verdict, reason] = conclusion(total, usual, context.isClosed)
    return finish(deps, db, deployment, view(verdict, reason))
  }
  if (now - memory.savedAt < saveEveryMs) return
  memory.savedAt = now
  await db.deployment.updateMany({
    where: stillWatched(deployment),
    data: { watch: view('watching', 'The new version is being compared with the one before.') },
  })
  await announce(deps, deployment)
}

const stillWatched = ({ id }: Watched) => ({ id, status: 'ACTIVE' as const, watchUntil: { not: null } })

/** What a deployment is compared with. null: there is nothing to go back to, or it is not live any more. */
async function readContext(
  db: ScopedClient,
  deployment: Watched,
): Promise<{ before: Deployment; bounds: WatchView['bounds']; isClosed: boolean } | null> {
  const environment = await db.environment.findUniqueOrThrow({
    where: { id: deployment.environmentId },
    select: {
      ...settingsSelect,
      liveReleaseId: true,
      previousReleaseId: true,
      rules: true,
      project: { select: { runtimeSettings: true, edgePolicy: true } },
    },
  })
  if (environment.liveReleaseId !== deployment.releaseId) return null
  const { previousReleaseId } = environment
  const before = previousReleaseId ? await db.deployment.findFirst({ where: { releaseId: previousReleaseId, liveAt: { not: null } } }) : null
  if (!before) {
    await db.deployment.updateMany({ where: stillWatched(deployment), data: { watchUntil: null } })
    return null
  }
  const { watchErrorPercent: errorPercent, watchLatencyFactor: latencyFactor } = settingsOf(environment)
  const hasMaintenance = [environment.rules, environment.project.edgePolicy].some((rules) => (rules as { maintenance?: unknown } | null)?.maintenance)
  return { before, bounds: { errorPercent, latencyFactor, requests: minRequests }, isClosed: hasMaintenance }
}

type Found = { reason: string; sample?: Sample; isCertain: boolean }

/** The new version keeps crashing, and the one before did not. */
async function crashes(db: ScopedClient, deployment: Watched, before: Deployment): Promise<Found | null> {
  const at = deployment.liveAt.getTime()
  const instances = await db.instance.findMany({ where: { releaseId: { in: [deployment.releaseId ?? '', before.releaseId ?? ''] } } })
  const own = instances.filter(({ releaseId, stoppedAt }) => releaseId === deployment.releaseId && (stoppedAt?.getTime() ?? at) >= at)
  if (judgeHealth(own).state !== 'crashing') return null
  const others = instances.filter(({ releaseId }) => releaseId === before.releaseId)
  if (judgeHealth(others, at).state === 'crashing') return null
  const ends = own.filter(({ state }) => state === 'stopped').length
  return { reason: `It keeps crashing: ${ends} of its instances have ended since the switch.`, isCertain: true }
}

interface Figures {
  total: Sample
  usual: Sample
  bounds: WatchView['bounds']
  now: number
}

/** The routers' figures speak against the new version. */
function worse({ liveAt, watchUntil }: Watched, { counts }: Seen, { total, usual, bounds, now }: Figures): Found | null {
  const since = (at: number): Sample | null => {
    const start = counts.find((count) => count.at >= at)
    return start && start.at < now ? between(start.sample, total) : null
  }
  for (const sample of [total, ...shortWindowsMs.map((ms) => since(now - ms))]) {
    const reason = sample && moreErrors(sample, usual, bounds)
    if (reason) return { reason, sample, isCertain: false }
  }
  const length = watchUntil.getTime() - liveAt.getTime()
  const warm = since(Math.max(liveAt.getTime() + Math.min(warmUpMs, length / 2), now - longestWindowMs))
  const isSustained = warm && warm.seconds * 1000 >= Math.min(sustainedMs, length / 4)
  const reason = isSustained ? slower(warm, usual, bounds) : null
  return reason && warm ? { reason, sample: warm, isCertain: false } : null
}

function remember(memory: Seen, sample: Sample, at: number): void {
  memory.counts = [...memory.counts.filter((count) => at - count.at <= longestWindowMs), { at, sample }]
}

function conclusion(total: Sample, usual: Sample, isClosed: boolean): [WatchView['verdict'], string] {
  if (isClosed) return ['too_little_traffic', 'Maintenance is on, so the answers say nothing about the version.']
  if (total.requests < minRequests)
    return ['too_little_traffic', `The new version answered ${total.requests} requests; at least ${minRequests} are needed to judge it.`]
  if (usual.requests < minRequests)
    return [
      'too_little_traffic',
      `The version before answered ${usual.requests} requests in the last day; at least ${minRequests} are needed to compare.`,
    ]
  return ['ok', 'The new version is not worse than the one before.']
}

function figuresOf({ requests, errors, latency, seconds }: Sample): Omit<WatchView['now'], 'deploymentId'> {
  const p95 = percentile(latency, 0.95)
  return { requests, errors, p95Ms: p95 === null ? null : Math.round(p95 * 10) / 10, seconds: Math.round(seconds) }
}

async function readBaseline(pool: Pool, deployment: Watched, before: Deployment): Promise<Sample> {
  const to = deployment.liveAt.getTime()
  let sample: Sample | undefined
  for (const length of baselinesMs) {
    if (sample && sample.requests >= minRequests) break
    sample = await readSample(pool, deployment, before, { from: Math.max(to - length, before.liveAt?.getTime() ?? 0), to })
  }
  return sample as Sample
}

/** Answers of one deployment, by whole minutes. Requests whose client left before an answer are not counted. */
async function readSample(
  pool: Pool,
  { teamId, projectId }: Watched,
  { id }: Deployment,
  { from, to }: { from: number; to: number },
): Promise<Sample> {
  const latency = Array.from({ length: latencyBoundsMs.length + 1 }, (_, i) => `coalesce(sum("latency"[${i + 1}]), 0)`)
  const { rows } = await pool.query<{ requests: number; errors: number; latency: number[] }>(
    `SELECT coalesce(sum("requests" - "statuses"[1]), 0)::float8 AS "requests", coalesce(sum("statuses"[6]), 0)::float8 AS "errors",
      ARRAY[${latency.join(', ')}]::float8[] AS "latency"
     FROM "TrafficMinute" WHERE "teamId" = $1 AND "projectId" = $2 AND "deploymentId" = $3
      AND "minute" >= date_trunc('minute', to_timestamp($4) AT TIME ZONE 'utc') AND "minute" <= to_timestamp($5) AT TIME ZONE 'utc'`,
    [teamId, projectId, id, from / 1000, to / 1000],
  )
  const row = rows[0] ?? { requests: 0, errors: 0, latency: [] }
  return { ...row, seconds: Math.max(0, to - from) / 1000 }
}

async function finish(deps: WatchDeps, db: ScopedClient, deployment: Watched, watch: WatchView, note?: string): Promise<void> {
  const { count } = await db.deployment.updateMany({ where: stillWatched(deployment), data: { watch, watchUntil: null } })
  if (count === 0) return
  await writeLine(deps, deployment, note ?? `The watch after the switch has ended: ${watch.reason}`)
  await announce(deps, deployment)
}

/** Queues the rollback and writes the verdict in the same transaction, so that a crash in between neither loses nor repeats it. */
async function goBack(deps: WatchDeps, db: ScopedClient, deployment: Watched, watch: WatchView): Promise<void> {
  const target = watch.before.deploymentId
  const actor: Actor = { kind: 'system', id: 'watch', name: 'Switchyard', teamId: deployment.teamId, role: 'admin', operator: false }
  try {
    const rollbackId = await rollBackTo(deps, actor, target, {
      reason: `Deployment ${deployment.id} was worse than the version before. ${watch.reason}`,
      within: async (tx, id) => {
        if (await isSwitching(tx, deployment)) throw new Overtaken()
        const data = { watch: { ...watch, rollbackId: id }, watchUntil: null, reason: `The watch rolled it back. ${watch.reason}` }
        if ((await tx.deployment.updateMany({ where: stillWatched(deployment), data })).count === 0) throw new Overtaken()
      },
    })
    await writeLine(deps, deployment, `Worse than the version before: ${watch.reason} Deployment ${rollbackId} goes back to ${target}.`)
    await announce(deps, deployment)
    deps.logger.warn({ deployment: deployment.id, rollback: rollbackId, reason: watch.reason }, 'watch: rolled back')
  } catch (error) {
    if (error instanceof Overtaken) return
    if (!isAppError(error)) throw error
    const note = `Worse than the version before: ${watch.reason} It could not be rolled back: ${error.message}`
    await finish(deps, db, deployment, { ...watch, reason: `${watch.reason} It could not be rolled back: ${error.message}` }, note)
  }
}

/** Whether another version is about to go live: then a rollback would take that one away. */
const isSwitching = async (tx: ScopedTransaction, { id, environmentId }: Watched): Promise<boolean> =>
  (await tx.deployment.count({
    where: {
      environmentId,
      id: { not: id },
      OR: [{ status: 'DEPLOYING' }, { kind: { not: 'BUILD' }, status: { in: runningDeploymentStatuses } }],
    },
  })) > 0

async function writeLine(deps: WatchDeps, { id, teamId, projectId }: Watched, text: string): Promise<void> {
  const log = createLogWriter({ ...deps, ids: { teamId, projectId, deploymentId: id }, mask: (line) => line })
  log.write({ step: 'watch', stream: 'system', text })
  await log.flush()
}

const announce = ({ bus }: WatchDeps, { id, teamId, projectId }: Watched): Promise<void> => bus.publish({ kind: 'deployment', id, teamId, projectId })
