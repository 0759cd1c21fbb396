import type { Runtime } from '@/runtime/driver'
import type { Instance, PrismaClient } from '@/server/database/generated/client'
import { defaultRuntimeSettings, readRuntimeSettings } from '@/shared/runtime-settings'
import { markStopped } from './launch'

/** Stops instances, each with the grace period of its project. The recorded exit of an instance that had already exited is kept. */
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
