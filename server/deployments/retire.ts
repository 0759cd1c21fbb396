import type { Runtime } from '@/runtime/driver'
import type { Instance, PrismaClient } from '@/server/database/generated/client'
import { defaultRuntimeSettings, readRuntimeSettings } from '@/shared/runtime-settings'
import { markStopped } from '../instances/launch'
import type { DeployDeps, DeployRun } from './run'

export type RetireDeps = Pick<DeployDeps, 'prisma' | 'runtime' | 'routes' | 'inFlight'>

const drainDeadlineMs = 30_000

/** Instances of the environment that are not of its live release: drained and stopped, as recorded steps. */
export async function retireOldInstances(deps: DeployDeps, run: DeployRun): Promise<void> {
  const { environmentId } = run.deployment
  const { liveReleaseId } = await run.db.environment.findUniqueOrThrow({ where: { id: environmentId }, select: { liveReleaseId: true } })
  const old = await run.db.instance.findMany({
    where: { environmentId, state: { not: 'stopped' }, releaseId: { not: liveReleaseId ?? '' } },
  })
  if (old.length === 0) return
  await run.record.step('drain', async () => {
    const result = await drain(deps, old)
    return { value: undefined, detail: result.drained ? `idle after ${result.waitedMs} ms` : 'deadline reached with requests open' }
  })
  await run.record.step('stop', async () => {
    await stopInstances(deps, old)
    return { value: undefined, detail: `${old.length} stopped` }
  })
}

/** The same without a deployment that records it: for what the reconciler finds left over. */
export async function drainAndStop(deps: RetireDeps, instances: Instance[]): Promise<void> {
  if (instances.length === 0) return
  await drain(deps, instances)
  await stopInstances(deps, instances)
}

async function drain(deps: RetireDeps, instances: Instance[]): Promise<{ drained: boolean; waitedMs: number }> {
  const ids = instances.map((i) => i.id)
  await deps.prisma.instance.updateMany({ where: { id: { in: ids } }, data: { state: 'draining' } })
  // No router may still send them something new before their requests are counted.
  await deps.routes.sync()
  return deps.runtime.drain({
    inFlight: async () => Object.values(await deps.inFlight(ids)).reduce((sum, n) => sum + n, 0),
    deadlineMs: drainDeadlineMs,
  })
}

/** Removes what a failed or interrupted deployment left running. Nothing routes to it. */
export async function removeInstances(deps: { prisma: PrismaClient; runtime: Runtime }, where: { deploymentId: string }): Promise<void> {
  const left = await deps.prisma.instance.findMany({ where: { ...where, state: { not: 'stopped' } } })
  await stopInstances(deps, left)
}

export async function stopInstances(
  deps: { prisma: PrismaClient; runtime: Runtime },
  instances: Pick<Instance, 'id' | 'projectId'>[],
): Promise<void> {
  const where = { id: { in: instances.map(({ projectId }) => projectId) } }
  const projects = await deps.prisma.project.findMany({ where, select: { id: true, runtimeSettings: true } })
  const graceOf = new Map(projects.map((one) => [one.id, readRuntimeSettings(one.runtimeSettings).stopGraceSeconds * 1000]))
  await Promise.all(
    instances.map(async ({ id, projectId }) => {
      await deps.runtime.stop(id, graceOf.get(projectId) ?? defaultRuntimeSettings.stopGraceSeconds * 1000)
      await markStopped(deps.prisma, id, null)
    }),
  )
}
