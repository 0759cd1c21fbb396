import type { Builder } from '@/builder/builder'
import type { PrismaClient } from '@/server/database/generated/client'
import type { Edge } from '../deployments/present'
import type { ChangeBus } from '../events/bus'
import type { Secrets } from '../secrets/secrets'

/** Dependencies of the project use-cases. */
export interface ProjectDeps {
  prisma: PrismaClient
  edge: Edge
  secrets: Pick<Secrets, 'seal' | 'open'>
  bus: Pick<ChangeBus, 'publish'>
  builder: Pick<Builder, 'inspect' | 'clearCache'>
  /** Cancels the running deployment, stops instances, removes routes and artifacts. The caller deletes the project row afterwards. */
  teardown: (projectId: string) => Promise<void>
}
