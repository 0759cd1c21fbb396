import type { Logger } from 'pino'
import type { Builder } from '@/builder/builder'
import type { Runtime } from '@/runtime/driver'
import type { Prisma, PrismaClient } from '@/server/database/generated/client'
import { runningDeploymentStatuses } from '@/shared/states'
import { artifactOf } from '../instances/launch'
import type { StaticContents } from '../static-content/static-content'
import { withArtifactHeld } from './artifact-lock'

/** Number of unused artifacts to keep: formerly live ones per environment, and those of failed deployments per project. */
const kept = { live: 10, failed: 1 }
const keptInstanceMs = 24 * 3_600_000

/** Removes old artifacts of a project, except those of a live or previous release, a running or pinned deployment, or an instance. */
export async function pruneArtifacts(
  deps: { prisma: PrismaClient; builder: Builder; contents: StaticContents; runtime: Pick<Runtime, 'forget'>; logger: Logger },
  projectId: string,
): Promise<void> {
  const { prisma, logger } = deps
  const artifacts = await prisma.artifact.findMany({ where: { projectId, removedAt: null }, orderBy: { createdAt: 'desc' } })
  const served = await prisma.deployment.findMany({
    where: { projectId, liveAt: { not: null }, artifactId: { not: null } },
    select: { artifactId: true, environmentId: true, environment: { select: { closedAt: true } } },
    orderBy: { liveAt: 'desc' },
  })
  const servedIds = new Set(served.map(({ artifactId }) => artifactId))
  const keptIds = new Set(
    [...Map.groupBy(served, ({ environmentId }) => environmentId).values()].flatMap((own) =>
      own[0]?.environment.closedAt ? [] : [...new Set(own.map(({ artifactId }) => artifactId))].slice(0, kept.live),
    ),
  )
  const failed = artifacts.filter(({ id }) => !servedIds.has(id)).slice(kept.failed)
  const old = artifacts.filter(({ id }) => servedIds.has(id) && !keptIds.has(id))
  for (const artifact of [...old, ...failed]) {
    const removed = await withArtifactHeld(prisma, artifact.digest, async (tx) => {
      if (await isNeeded(tx, artifact.id)) return false
      const sharers = await tx.artifact.count({ where: { digest: artifact.digest, removedAt: null, id: { not: artifact.id } } })
      if (sharers === 0) {
        await deps.contents.remove(artifact.digest)
        await deps.builder.removeArtifact(artifactOf(artifact))
      }
      await tx.artifact.update({ where: { id: artifact.id }, data: { removedAt: new Date() } })
      return true
    })
    if (removed) logger.info({ artifact: artifact.id, digest: artifact.digest, sizeBytes: Number(artifact.sizeBytes) }, 'artifact removed')
  }
  await forgetOldInstances(deps, projectId)
}

/** Whether a live or previous release, an instance, a running or a pinned deployment uses the artifact. */
async function isNeeded(tx: Prisma.TransactionClient, artifactId: string): Promise<boolean> {
  if ((await tx.deployment.count({ where: { artifactId, OR: [{ status: { in: runningDeploymentStatuses } }, { pinnedAt: { not: null } }] } })) > 0)
    return true
  const ids = (await tx.release.findMany({ where: { artifactId }, select: { id: true } })).map((release) => release.id)
  const pointed = await tx.environment.count({ where: { OR: [{ liveReleaseId: { in: ids } }, { previousReleaseId: { in: ids } }] } })
  return pointed > 0 || (await tx.instance.count({ where: { releaseId: { in: ids }, state: { not: 'stopped' } } })) > 0
}

/** Removes what the runtime keeps of stopped instances: their output is already in the database. */
async function forgetOldInstances(deps: { prisma: PrismaClient; runtime: Pick<Runtime, 'forget'> }, projectId: string): Promise<void> {
  const before = new Date(Date.now() - keptInstanceMs)
  const old = await deps.prisma.instance.findMany({ where: { projectId, state: 'stopped', stoppedAt: { lt: before } }, select: { id: true } })
  for (const { id } of old) await deps.runtime.forget(id)
}
