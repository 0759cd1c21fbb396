import type { Builder } from '@/builder/builder'
import type { Runtime } from '@/runtime/driver'
import { AppError } from '@/shared/errors'
import { runningDeploymentStatuses } from '@/shared/states'
import type { PrismaClient } from '../database/client'
import type { ChangeBus } from '../events/bus'
import { artifactOf } from '../instances/launch'
import { stopInstances } from '../instances/stop'
import type { StaticContents } from '../static-content/static-content'
import { withArtifactHeld } from './artifact-lock'

interface TeardownDeps {
  prisma: PrismaClient
  bus: ChangeBus
  runtime: Runtime
  builder: Builder
  contents: Pick<StaticContents, 'remove'>
}

const cancelDeadlineMs = 30_000

/**
 * Stops and removes the running deployment, instances, artifacts, caches and network of a project before its deletion. Idempotent.
 * @throws ERR_DEADLINE when a running deployment does not stop; nothing has been removed then
 */
export async function tearDownProject(deps: TeardownDeps, projectId: string): Promise<void> {
  const { prisma, runtime, builder } = deps
  await cancelRunning(deps, projectId)
  const instances = await prisma.instance.findMany({ where: { projectId } })
  await stopInstances(
    deps,
    instances.filter((i) => i.state !== 'stopped'),
  )
  await Promise.all(instances.map((i) => runtime.forget(i.id)))
  const artifacts = await prisma.artifact.findMany({ where: { projectId, removedAt: null } })
  for (const artifact of artifacts) {
    await withArtifactHeld(prisma, artifact.digest, async (tx) => {
      const shared = await tx.artifact.count({ where: { digest: artifact.digest, removedAt: null, projectId: { not: projectId } } })
      if (shared > 0) return
      await deps.contents.remove(artifact.digest)
      await builder.removeArtifact(artifactOf(artifact))
    })
  }
  await builder.removeProject(projectId)
  await runtime.removeProject(projectId)
  await prisma.$transaction([prisma.release.deleteMany({ where: { projectId } }), prisma.artifact.deleteMany({ where: { projectId } })])
}

async function cancelRunning(deps: TeardownDeps, projectId: string): Promise<void> {
  const stopped = new AbortController()
  const changes = deps.bus.listen((c) => c.kind === 'deployment' && c.projectId === projectId, stopped.signal)[Symbol.asyncIterator]()
  const timer = setTimeout(() => stopped.abort(), cancelDeadlineMs)
  try {
    for (;;) {
      const running = await deps.prisma.deployment.findMany({ where: { projectId, status: { in: runningDeploymentStatuses } } })
      if (running.length === 0) return
      await deps.prisma.deployment.updateMany({ where: { id: { in: running.map((d) => d.id) } }, data: { cancelRequested: true } })
      await deps.prisma.deployment.updateMany({
        where: { id: { in: running.map((d) => d.id) }, status: 'PENDING', startedAt: null },
        data: { status: 'CANCELED', endedAt: new Date() },
      })
      for (const { id, teamId } of running) await deps.bus.publish({ kind: 'deployment', id, teamId, projectId })
      if ((await changes.next()).done)
        throw new AppError('ERR_DEADLINE', 'The running deployment of this project did not stop in time.', {
          nextAction: 'Try again in a minute; nothing was deleted.',
        })
    }
  } finally {
    clearTimeout(timer)
    stopped.abort()
  }
}
