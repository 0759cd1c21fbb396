import type { Pool } from 'pg'
import { runningDeploymentStatuses } from '@/shared/states'
import { exitOf, healEnvironment } from '../instances/heal'
import { markStopped } from '../instances/launch'
import type { MonitorDeps } from '../instances/monitor'
import { breakLeases, enqueue } from '../jobs/queue'

const healConcurrency = 4
/** Start-up does not wait longer for apps that are slow to come back; the monitor goes on with them. */
const healDeadlineMs = 60_000

/**
 * Start-up, before any request is accepted (V9): what an earlier process left half done is found and put right. What runs is kept
 * running, what should run is started, what nobody owns is removed, interrupted deployments are queued to go on.
 */
export async function reconcileAtStart(deps: MonitorDeps, machine: string): Promise<void> {
  const freed = await breakLeases(deps.pool, machine)
  const observed = new Map((await deps.runtime.list()).map((o) => [o.owner.instanceId, o]))
  const recorded = await deps.prisma.instance.findMany({ where: { state: { not: 'stopped' } } })
  const known = new Set(recorded.map((i) => i.id))
  for (const id of observed.keys()) {
    if (known.has(id)) continue
    deps.logger.warn({ instance: id }, 'removing an orphan')
    await deps.runtime.stop(id, 5_000)
    await deps.runtime.forget(id)
  }
  for (const instance of recorded) {
    const seen = observed.get(instance.id) ?? null
    if (!seen || seen.state === 'exited') {
      if (seen) await deps.runtime.stop(instance.id, 0)
      await markStopped(deps.prisma, instance.id, exitOf(seen))
    } else if (seen.address) {
      await deps.prisma.instance.update({ where: { id: instance.id }, data: { host: seen.address.host, port: seen.address.port } })
    }
  }
  const queued = await queueForgottenDeployments(deps.pool, deps)
  await healAll(deps)
  deps.logger.info({ freedJobs: freed, queuedDeployments: queued, instances: recorded.length, observed: observed.size }, 'reconciled')
}

/** Every deployment under way has a job: one whose job has ended without it (it failed too often) is begun again. */
async function queueForgottenDeployments(pool: Pool, deps: MonitorDeps): Promise<number> {
  const running = await deps.prisma.deployment.findMany({
    where: { status: { in: runningDeploymentStatuses } },
    select: { id: true, environmentId: true },
  })
  let queued = 0
  for (const { id, environmentId } of running) {
    const { rowCount } = await pool.query(
      `SELECT 1 FROM "Job" WHERE "kind"='deploy' AND "state" IN ('queued','running') AND "payload"->>'deploymentId' = $1 LIMIT 1`,
      [id],
    )
    if (rowCount) continue
    await enqueue(pool, 'deploy', { deploymentId: id }, { exclusiveKey: `environment:${environmentId}` })
    queued++
  }
  return queued
}

async function healAll(deps: MonitorDeps): Promise<void> {
  const live = await deps.prisma.environment.findMany({ where: { liveReleaseId: { not: null } }, select: { id: true } })
  const deadline = AbortSignal.timeout(healDeadlineMs)
  const next = live[Symbol.iterator]()
  const work = async () => {
    for (const { id } of { [Symbol.iterator]: () => next }) {
      if (deadline.aborted) return
      await healEnvironment(deps, id, deadline).catch((error) =>
        deps.logger.error({ err: error, environment: id }, 'cannot start an app again; the monitor goes on trying'),
      )
    }
  }
  await Promise.all(Array.from({ length: healConcurrency }, work))
}
