import type { Pool } from 'pg'
import type { Logger } from 'pino'
import type { Builder } from '@/builder/builder'
import type { Runtime } from '@/runtime/driver'
import type { Deployment, PrismaClient } from '@/server/database/generated/client'
import type { ScopedClient } from '../database/scope'
import type { ChangeBus } from '../events/bus'
import type { Drainer } from '../instances/drainer'
import type { RoutePublisher } from '../routes/publisher'
import type { Secrets } from '../secrets/secrets'
import type { StaticContents } from '../static-content/static-content'
import type { LogWriter } from './log-writer'
import type { DeploymentPart, DeploymentRecord } from './record'
import type { RunMask } from './run-mask'

/** Dependencies of a deployment. */
export interface DeployDeps {
  prisma: PrismaClient
  pool: Pool
  bus: ChangeBus
  builder: Builder
  runtime: Runtime
  routes: RoutePublisher
  contents: StaticContents
  drainer: Pick<Drainer, 'follow'>
  secrets: Secrets
  installationId: string
  /** Largest request head that the routers forward, in bytes. */
  maxHeaderBytes: number
  owner: string
  maxAttempts: number
  logger: Logger
}

/** State of a deployment while a worker runs it. */
export interface DeployRun {
  deployment: Deployment
  part: DeploymentPart
  /** Every query is scoped to the deployment's team. */
  db: ScopedClient
  record: DeploymentRecord
  log: LogWriter
  mask: RunMask
  /** Aborted when a user cancels the deployment or this worker stops. */
  signal: AbortSignal
}
