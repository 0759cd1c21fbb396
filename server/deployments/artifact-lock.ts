import type { Builder } from '@/builder/builder'
import type { Prisma, PrismaClient } from '@/server/database/generated/client'
import type { Artifact } from '@/shared/release'

/** Removing an image may take a while. */
const heldMs = 60_000

/**
 * Artifacts of one content are one thing on disk, whoever made them. Whoever removes it, and whoever is about to rely on it, does so one
 * after the other: what was counted stays true until the work is done. Across machines, and given up by a process that dies.
 */
export async function withArtifactHeld<T>(
  prisma: Pick<PrismaClient, '$transaction'>,
  digest: string,
  work: (tx: Prisma.TransactionClient) => Promise<T>,
): Promise<T> {
  return prisma.$transaction(
    async (tx) => {
      await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`artifact ${digest}`}, 0))`
      return work(tx)
    },
    { maxWait: heldMs, timeout: 2 * heldMs },
  )
}

/** Whether what was just recorded is there. False: it was removed between its build and its record; from the record on it is not. */
export const isArtifactThere = (
  deps: { prisma: Pick<PrismaClient, '$transaction'>; builder: Pick<Builder, 'artifactExists'> },
  artifact: Artifact,
): Promise<boolean> => withArtifactHeld(deps.prisma, artifact.digest, () => deps.builder.artifactExists(artifact))
