import type { Builder } from '@/builder/builder'
import type { Prisma, PrismaClient } from '@/server/database/generated/client'
import type { Artifact } from '@/shared/release'

/** Transaction wait limit: removing an image may take long. */
const heldMs = 60_000

/**
 * Serializes the removal and the use of an artifact by digest: artifacts with equal content share their bytes on disk, so a reference count
 * must stay valid until the work is done. A Postgres advisory lock: it works across machines and is released when the process dies.
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

/** Whether the bytes of a recorded artifact exist. False: removed between build and database write; a recorded artifact is never removed. */
export const isArtifactThere = (
  deps: { prisma: Pick<PrismaClient, '$transaction'>; builder: Pick<Builder, 'artifactExists'> },
  artifact: Artifact,
): Promise<boolean> => withArtifactHeld(deps.prisma, artifact.digest, () => deps.builder.artifactExists(artifact))
