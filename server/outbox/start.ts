import type { Logger } from 'pino'
import type { PrismaClient } from '@/server/database/generated/client'
import type { Edge } from '../deployments/present'
import type { ChangeBus } from '../events/bus'
import { forgeFanOut } from '../forges/fan-out'
import { startReporter } from '../forges/reporter'
import type { Secrets } from '../secrets/secrets'
import { startDeliverer, type WebhookSettings } from '../webhooks/deliverer'
import { webhookFanOut } from '../webhooks/fan-out'
import { natsFanOut, startNats } from './nats'
import { startRelay } from './relay'

export interface OutgoingDeps {
  prisma: PrismaClient
  secrets: Pick<Secrets, 'open'>
  bus: ChangeBus
  edge: Edge
  /** Base URL of the dashboard without a trailing slash. */
  dashboardUrl: string
  webhooks: WebhookSettings
  /** null: events are not sent to NATS. */
  natsUrl: string | null
  logger: Logger
}

/** Starts the reader of the outbox and everything that sends events to other systems. */
export function startOutgoing(deps: OutgoingDeps): { stop(): Promise<void> } {
  const { prisma, secrets, bus, edge, dashboardUrl, webhooks, natsUrl, logger } = deps
  const parts = [
    startRelay({ prisma, edge, subscribers: [webhookFanOut, forgeFanOut, ...(natsUrl ? [natsFanOut] : [])], bus, logger }),
    startDeliverer({ prisma, secrets, bus, logger, ...webhooks }),
    startReporter({ prisma, secrets, edge, dashboardUrl, bus, logger }),
    ...(natsUrl ? [startNats({ prisma, url: natsUrl, bus, logger })] : []),
  ]
  return {
    async stop() {
      await Promise.all(parts.map((part) => part.stop()))
    },
  }
}
