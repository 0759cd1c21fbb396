import type { Runtime } from '@/runtime/driver'
import type { Instance, PrismaClient } from '@/server/database/generated/client'
import { defaultRuntimeSettings } from '@/shared/runtime-settings'
import { readSettings } from '../environments/settings'
import { markStopped } from './launch'

/** Stops instances, each with the grace period of its environment. The recorded exit of an instance that had already exited is kept. */
export async function stopInstances(
  deps: { prisma: PrismaClient; runtime: Pick<Runtime, 'inspect' | 'stop'> },
  instances: Pick<Instance, 'id' | 'environmentId'>[],
): Promise<void> {
  const settings = await readSettings(deps.prisma, [...new Set(instances.map((one) => one.environmentId))])
  await Promise.all(
    instances.map(async ({ id, environmentId }) => {
      const seen = await deps.runtime.inspect(id).catch(() => null)
      await deps.runtime.stop(id, (settings.get(environmentId) ?? defaultRuntimeSettings).stopGraceSeconds * 1000)
      await markStopped(deps.prisma, id, seen?.state === 'exited' ? seen.exit : null)
    }),
  )
}
