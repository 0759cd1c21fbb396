import type { Logger } from 'pino'
import type { PrismaClient } from '@/server/database/generated/client'
import type { Edge } from '../deployments/present'
import type { ChangeBus } from '../events/bus'
import type { Secrets } from '../secrets/secrets'
import { startDeliverer, type WebhookSettings } from '../webhooks/deliverer'
import { webhookFanOut } from '../webhooks/fan-out'
import { startRelay } from './relay'

export interface OutgoingDeps {
  prisma: PrismaClient
  secrets: Pick<Secrets, 'open'>
  bus: ChangeBus
  edge: Edge
  webhooks: WebhookSettings
  logger: Logger
}

/** Starts the reader of the outbox and everything that sends events to other systems. */
export function startOutgoing(deps: OutgoingDeps): { stop(): Promise<void> } {
  const { prisma, secrets, bus, edge, webhooks, logger } = deps
  const parts = [
    startRelay({ prisma, edge, subscribers: [webhookFanOut], bus, logger }),
    startDeliverer({ prisma, secrets, bus, logger, ...webhooks }),
  ]
  return {
    async stop() {
      await Promise.all(parts.map((part) => part.stop()))
    },
  }
}
