import type { Prisma } from '@/server/database/generated/client'

/** Keys of `Setting` that first boot owns. */
export const setupCodeSetting = 'setup-code'
export const installationIdSetting = 'installation-id'

/** Arbitrary advisory lock id, unique within this database. */
const setupLock = 7_110_021

/** Serializes first boot and creation of the first account until the transaction ends, so that only a single account is created. */
export async function lockSetup(tx: Prisma.TransactionClient): Promise<void> {
  await tx.$executeRaw`SELECT pg_advisory_xact_lock(${setupLock})`
}
