import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'pg'
import { mapConcurrent } from '@/runtime/pool'
import { runningDeploymentStatuses } from '@/shared/states'
import { exitOf } from '../instances/heal'
import { markStopped } from '../instances/launch'
import { type MonitorDeps, requestHeal, wantedReleases } from '../instances/monitor'
import { breakLeases, enqueue } from '../jobs/queue'
import { exclusiveKeyOf } from './queue'

/** Longest time that the start of the dashboard waits for apps to restart. */
const firstHealsMs = 20_000
const lookAgainMs = 100
/** Instances reconciled in parallel. */
const concurrency = 16

/**
 * Start-up reconciliation, before requests are accepted: adopts running instances, queues the start of missing instances, removes instances
 * without an owner, and queues interrupted deployments to continue.
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
      // The instance exited while no monitor was running: do not count it as a crash of the app.
      await markStopped(deps.prisma, instance.id, { ...exitOf(seen), byEngine: true })
    } else if (seen.address) {
      await deps.prisma.instance.update({ where: { id: instance.id }, data: { host: seen.address.host, port: seen.address.port } })
    }
  })
  await endForgottenDrains(deps.pool)
  const queued = await queueForgottenDeployments(deps.pool, deps)
  await requestHeals(deps)
  deps.logger.info({ freedJobs: freed, queuedDeployments: queued, instances: recorded.length, observed: observed.size }, 'reconciled')
}

/** Ends steps "drain" whose instances have ended: the process died after it had frozen or stopped the last of them. */
async function endForgottenDrains(pool: Pool): Promise<void> {
  await pool.query(
    `UPDATE "Step" s SET "status"='done', "endedAt"=now() AT TIME ZONE 'utc' WHERE s."name"='drain' AND s."status"='running'
       AND NOT EXISTS (SELECT 1 FROM "Instance" i WHERE i."replacedBy" = s."deploymentId" AND i."state"='draining')`,
  )
}

/** Queues a job for every unfinished deployment without a job (its job used all attempts). Returns their number. */
async function queueForgottenDeployments(pool: Pool, deps: MonitorDeps): Promise<number> {
  const running = await deps.prisma.deployment.findMany({
    where: { status: { in: runningDeploymentStatuses } },
    select: { id: true, environmentId: true, teamId: true, artifactId: true },
  })
  let queued = 0
  for (const { id, environmentId, teamId, artifactId } of running) {
    const { rowCount } = await pool.query(
      `SELECT 1 FROM "Job" WHERE "kind" IN ('build','release') AND "state" IN ('queued','running') AND "payload"->>'deploymentId' = $1 LIMIT 1`,
      [id],
    )
    if (rowCount) continue
    const job = artifactId ? 'release' : 'build'
    await enqueue(pool, job, { deploymentId: id }, { exclusiveKey: exclusiveKeyOf(job, environmentId), fairKey: teamId })
    queued++
  }
  return queued
}

/** Queues a heal job per live release that has too few running instances; separate jobs, so that a slow start delays no other app. */
async function requestHeals(deps: MonitorDeps): Promise<void> {
  const live = await deps.prisma.environment.findMany({ where: { liveReleaseId: { not: null } } })
  const running = await deps.prisma.instance.findMany({
    where: { releaseId: { in: live.flatMap((e) => e.liveReleaseId ?? []) }, state: { notIn: ['stopped', 'starting'] } },
    select: { releaseId: true },
  })
  const alive = Map.groupBy(running, (instance) => instance.releaseId)
  const { instances } = await wantedReleases(deps.prisma, live)
  for (const environment of live) {
    const { liveReleaseId } = environment
    if (liveReleaseId && (alive.get(liveReleaseId)?.length ?? 0) < (instances.get(liveReleaseId) ?? 1))
      await requestHeal(deps, environment, liveReleaseId)
  }
}

/** Resolves when every queued heal job has had its first attempt, or at the deadline; the jobs continue either way. */
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
