import type { PrismaClient, Webhook } from '@/server/database/generated/client'
import { AppError } from '@/shared/errors'
import type { ScopedClient } from '../database/scope'
import type { Secrets } from '../secrets/secrets'
import type { WebhookSettings } from './deliverer'

export interface WebhookDeps {
  prisma: PrismaClient
  secrets: Pick<Secrets, 'seal' | 'open'>
  settings: WebhookSettings
}

/** @throws ERR_NOT_FOUND, also for a webhook of another team */
export async function requireWebhook(db: ScopedClient, id: string): Promise<Webhook> {
  const row = await db.webhook.findFirst({ where: { id } })
  if (!row) throw new AppError('ERR_NOT_FOUND', 'There is no such webhook in this team.', { nextAction: 'List the webhooks to see their ids.' })
  return row
}
