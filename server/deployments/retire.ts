import type { Runtime } from '@/runtime/driver'
import type { Instance, PrismaClient } from '@/server/database/generated/client'
import { stopInstances } from '../instances/stop'
import type { DeployDeps, DeployRun } from './deploy-run'

/**
 * Marks instances of older releases in this environment as draining, which removes them from the routes. `instances/drainer.ts` finishes
 * their open requests and stops them, or freezes those of the version that is kept warm; the deployment's job does not wait.
 */
export async function retireOldInstances(deps: DeployDeps, run: DeployRun): Promise<void> {
  const { teamId, environmentId, id: deploymentId } = run.deployment
  const { liveReleaseId } = await run.db.environment.findUniqueOrThrow({ where: { id: environmentId }, select: { liveReleaseId: true } })
  const isOld = { environmentId, state: { notIn: ['stopped', 'draining'] as Instance['state'][] }, releaseId: { not: liveReleaseId ?? '' } }
  const found = await run.db.instance.findMany({ where: isOld, include: { release: { select: { wanted: true } } } })
  // Frozen instances of the version that is kept warm stay as they are.
  const old = found.filter(({ state, release }) => state !== 'sleeping' || release.wanted !== 'warm')
  if (old.length === 0) return
  const ids = { in: old.map(({ id }) => id) }
  await run.record.fenced(async (tx) => {
    await tx.instance.updateMany({
      where: { id: ids, state: { not: 'stopped' } },
      data: { state: 'draining', drainingSince: new Date(), replacedBy: deploymentId },
    })
    await tx.step.create({ data: { teamId, deploymentId, name: 'drain' } })
  })
  for (const instance of await run.db.instance.findMany({ where: { id: ids, state: 'draining' } })) void deps.drainer.follow(instance)
}

/** Removes instances of a failed or interrupted deployment; no route points to them. */
export async function removeInstances(deps: { prisma: PrismaClient; runtime: Runtime }, where: { deploymentId: string }): Promise<void> {
  const left = await deps.prisma.instance.findMany({ where: { ...where, state: { not: 'stopped' } } })
  await stopInstances(deps, left)
}
