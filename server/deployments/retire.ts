import type { Runtime } from '@/runtime/driver'
import type { Instance, PrismaClient } from '@/server/database/generated/client'
import { defaultRuntimeSettings, readRuntimeSettings } from '@/shared/runtime-settings'
import { markStopped } from '../instances/launch'
import type { DeployDeps, DeployRun } from './run'

/**
 * Takes instances of the environment that are not of its live release out of the routes. They finish what they serve on their own
 * (`instances/drainer.ts`): the job of the deployment ends without waiting for them.
 */
export async function retireOldInstances(deps: DeployDeps, run: DeployRun): Promise<void> {
  const { teamId, environmentId, id: deploymentId } = run.deployment
  const { liveReleaseId } = await run.db.environment.findUniqueOrThrow({ where: { id: environmentId }, select: { liveReleaseId: true } })
  const isOld = { environmentId, state: { notIn: ['stopped', 'draining'] as Instance['state'][] }, releaseId: { not: liveReleaseId ?? '' } }
  const old = await run.db.instance.findMany({ where: isOld })
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

/** Removes what a failed or interrupted deployment left running. Nothing routes to it. */
export async function removeInstances(deps: { prisma: PrismaClient; runtime: Runtime }, where: { deploymentId: string }): Promise<void> {
  const left = await deps.prisma.instance.findMany({ where: { ...where, state: { not: 'stopped' } } })
  await stopInstances(deps, left)
}

/** Stops them. How one ended that was dead already is recorded as it was. */
export async function stopInstances(
  deps: { prisma: PrismaClient; runtime: Pick<Runtime, 'inspect' | 'stop'> },
  instances: Pick<Instance, 'id' | 'projectId'>[],
): Promise<void> {
  const where = { id: { in: instances.map(({ projectId }) => projectId) } }
  const projects = await deps.prisma.project.findMany({ where, select: { id: true, runtimeSettings: true } })
  const graceOf = new Map(projects.map((one) => [one.id, readRuntimeSettings(one.runtimeSettings).stopGraceSeconds * 1000]))
  await Promise.all(
    instances.map(async ({ id, projectId }) => {
      const seen = await deps.runtime.inspect(id).catch(() => null)
      await deps.runtime.stop(id, graceOf.get(projectId) ?? defaultRuntimeSettings.stopGraceSeconds * 1000)
      await markStopped(deps.prisma, id, seen?.state === 'exited' ? seen.exit : null)
    }),
  )
}
