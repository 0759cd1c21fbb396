import type { Logger } from 'pino'
import type { Builder } from '@/builder/builder'
import type { Runtime } from '@/runtime/driver'
import type { PrismaClient } from '@/server/database/generated/client'
import { runningDeploymentStatuses } from '@/shared/states'
import { artifactOf } from '../instances/launch'
import type { StaticContents } from '../static-content/static-content'

/** Artifacts of a project that are kept although nothing runs from them. */
const keptArtifacts = 5
const keptInstanceMs = 24 * 3_600_000

/** Removes the artifacts of a project that nobody can go back to: never of a live or previous release, of a running deployment, or of an instance. */
export async function pruneArtifacts(
  deps: { prisma: PrismaClient; builder: Builder; contents: StaticContents; runtime: Pick<Runtime, 'forget'>; logger: Logger },
  projectId: string,
): Promise<void> {
  const { prisma } = deps
  const [artifacts, environments, instances, running] = await Promise.all([
    prisma.artifact.findMany({ where: { projectId, removedAt: null }, orderBy: { createdAt: 'desc' } }),
    prisma.environment.findMany({ where: { projectId }, select: { liveReleaseId: true, previousReleaseId: true } }),
    prisma.instance.findMany({ where: { projectId, state: { not: 'stopped' } }, select: { releaseId: true } }),
    prisma.deployment.findMany({ where: { projectId, status: { in: runningDeploymentStatuses } }, select: { artifactId: true } }),
  ])
  const releaseIds = [...environments.flatMap((e) => [e.liveReleaseId, e.previousReleaseId]), ...instances.map((i) => i.releaseId)].filter(
    (id) => id !== null,
  )
  const releases = await prisma.release.findMany({ where: { id: { in: releaseIds } }, select: { artifactId: true } })
  const needed = new Set([...releases, ...running].map((r) => r.artifactId))
  for (const artifact of artifacts.slice(keptArtifacts)) {
    if (needed.has(artifact.id)) continue
    const sharers = await prisma.artifact.count({ where: { digest: artifact.digest, removedAt: null, id: { not: artifact.id } } })
    if (sharers === 0) {
      await deps.contents.remove(artifact.digest)
      await deps.builder.removeArtifact(artifactOf(artifact))
    }
    await prisma.artifact.update({ where: { id: artifact.id }, data: { removedAt: new Date() } })
    deps.logger.info({ artifact: artifact.id, digest: artifact.digest, sizeBytes: Number(artifact.sizeBytes) }, 'artifact removed')
  }
  await forgetOldInstances(deps, projectId)
}

/** What the runtime keeps of long stopped instances: their output is in the database already. */
async function forgetOldInstances(deps: { prisma: PrismaClient; runtime: Pick<Runtime, 'forget'> }, projectId: string): Promise<void> {
  const before = new Date(Date.now() - keptInstanceMs)
  const old = await deps.prisma.instance.findMany({ where: { projectId, state: 'stopped', stoppedAt: { lt: before } }, select: { id: true } })
  for (const { id } of old) await deps.runtime.forget(id)
}
