import type { Prisma } from '@/server/database/generated/client'

/** Keys of `Setting` that first boot owns. */
export const setupCodeSetting = 'setup-code'
export const installationIdSetting = 'installation-id'

/** Any number; nobody else in this database takes it. */
const setupLock = 7_110_021

/** Serialises first boot and the creation of the first account until the transaction ends: two at once make one. */
export async function lockSetup(tx: Prisma.TransactionClient): Promise<void> {
  await tx.$executeRaw`SELECT pg_advisory_xact_lock(${setupLock})`
}
