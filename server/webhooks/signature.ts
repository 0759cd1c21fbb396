import { randomBytes } from 'node:crypto'
import { Webhook as StandardWebhook } from 'standardwebhooks'

/** What is sealed in `Webhook.target`. */
export interface WebhookTarget {
  url: string
  secret: string
  /** The secret before the last rotation; it signs as well until then. */
  previous: { secret: string; until: string } | null
}

const secretBytes = 32

/** A secret in the form of Standard Webhooks. */
export const newSecret = (): string => `whsec_${randomBytes(secretBytes).toString('base64')}`

/** Headers by Standard Webhooks. During a rotation there are two signatures, separated by a blank, and a receiver accepts either. */
export function signedHeaders(target: WebhookTarget, message: { id: string; body: string }, now: Date): Record<string, string> {
  const secrets = [target.secret, ...(target.previous && new Date(target.previous.until) > now ? [target.previous.secret] : [])]
  return {
    'content-type': 'application/json',
    'webhook-id': message.id,
    'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
    'webhook-signature': secrets.map((secret) => new StandardWebhook(secret).sign(message.id, now, message.body)).join(' '),
  }
}
