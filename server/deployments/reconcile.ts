import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'pg'
import { mapConcurrent } from '@/runtime/pool'
import { runningDeploymentStatuses } from '@/shared/states'
import { exitOf } from '../instances/heal'
import { markStopped } from '../instances/launch'
import { type MonitorDeps, requestHeal } from '../instances/monitor'
import { breakLeases, enqueue } from '../jobs/queue'

/** The dashboard does not wait longer for apps that are slow to come back. */
const firstHealsMs = 20_000
const lookAgainMs = 100
/** Instances put right at the same time. */
const concurrency = 16

/**
 * Start-up, before any request is accepted (V9): what an earlier process left half done is found and put right. What runs is kept
 * running, what should run is queued for its start, what nobody owns is removed, interrupted deployments are queued to go on.
 */
export async function reconcileAtStart(deps: MonitorDeps, machine: string): Promise<void> {
  const freed = await breakLeases(deps.pool, machine)
  const observed = new Map((await deps.runtime.list()).map((o) => [o.owner.instanceId, o]))
  const recorded = await deps.prisma.instance.findMany({ where: { state: { not: 'stopped' } } })
  const known = new Set(recorded.map((i) => i.id))
  const orphans = [...observed.keys()].filter((id) => !known.has(id))
  await mapConcurrent(orphans, concurrency, async (id) => {
    deps.logger.warn({ instance: id }, 'removing an orphan')
    await deps.runtime.stop(id, 5_000)
    await deps.runtime.forget(id)
  })
  await mapConcurrent(recorded, concurrency, async (instance) => {
    const seen = observed.get(instance.id) ?? null
    if (!seen || seen.state === 'exited') {
      if (seen) await deps.runtime.stop(instance.id, 0)
      // Whatever ended it while nobody watched: not counted as a crash of the app.
      await markStopped(deps.prisma, instance.id, { ...exitOf(seen), byEngine: true })
    } else if (seen.address) {
      await deps.prisma.instance.update({ where: { id: instance.id }, data: { host: seen.address.host, port: seen.address.port } })
    }
  })
  const queued = await queueForgottenDeployments(deps.pool, deps)
  await requestHeals(deps)
  deps.logger.info({ freedJobs: freed, queuedDeployments: queued, instances: recorded.length, observed: observed.size }, 'reconciled')
}

/** Every deployment under way has a job: one whose job has ended without it (it failed too often) is begun again. */
async function queueForgottenDeployments(pool: Pool, deps: MonitorDeps): Promise<number> {
  const running = await deps.prisma.deployment.findMany({
    where: { status: { in: runningDeploymentStatuses } },
    select: { id: true, environmentId: true, teamId: true },
  })
  let queued = 0
  for (const { id, environmentId, teamId } of running) {
    const { rowCount } = await pool.query(
      `SELECT 1 FROM "Job" WHERE "kind"='deploy' AND "state" IN ('queued','running') AND "payload"->>'deploymentId' = $1 LIMIT 1`,
      [id],
    )
    if (rowCount) continue
    await enqueue(pool, 'deploy', { deploymentId: id }, { exclusiveKey: `environment:${environmentId}`, fairKey: teamId })
    queued++
  }
  return queued
}

/** Queues the start of every live release that does not run: each is a job of its own, so one that is slow delays no other. */
async function requestHeals(deps: MonitorDeps): Promise<void> {
  const live = await deps.prisma.environment.findMany({ where: { liveReleaseId: { not: null } } })
  const running = await deps.prisma.instance.findMany({
    where: { releaseId: { in: live.flatMap((e) => e.liveReleaseId ?? []) }, state: { notIn: ['stopped', 'starting'] } },
    select: { releaseId: true },
  })
  const alive = new Set(running.map((instance) => instance.releaseId))
  for (const environment of live)
    if (environment.liveReleaseId && !alive.has(environment.liveReleaseId)) await requestHeal(deps, environment, environment.liveReleaseId)
}

/** Resolves when no app that was queued for its start waits for its first attempt any more, or at the deadline: the starts go on then. */
export async function firstHealsDone(pool: Pool): Promise<void> {
  const deadline = Date.now() + firstHealsMs
  while (Date.now() < deadline) {
    const { rowCount } = await pool.query(
      `SELECT 1 FROM "Job" WHERE "kind"='heal' AND ("state"='running' OR ("state"='queued' AND "runAt" <= (now() AT TIME ZONE 'utc'))) LIMIT 1`,
    )
    if (!rowCount) return
    await sleep(lookAgainMs)
  }
}
