import type { Builder } from '@/builder/builder'
import type { PrismaClient } from '@/server/database/generated/client'
import type { Edge } from '../deployments/present'
import type { ChangeBus } from '../events/bus'
import type { Secrets } from '../secrets/secrets'

/** What the use-cases about projects work with. */
export interface ProjectDeps {
  prisma: PrismaClient
  edge: Edge
  secrets: Pick<Secrets, 'seal' | 'open'>
  bus: Pick<ChangeBus, 'publish'>
  builder: Pick<Builder, 'inspect' | 'clearCache'>
  /** Cancels what is running, stops the instances, takes the routes away and removes artifacts; the record goes afterwards. */
  teardown: (projectId: string) => Promise<void>
}
