import { z } from 'zod'
import { eventKinds } from './events'
import { pageInput } from './views'

/** Webhooks as the API takes and gives them. A secret is given by one endpoint of its own, to admins. */

const iso = z.iso.datetime()
const id = z.string().min(1).max(64)

/** Groups of kinds that can be asked for at once. */
const groups = [...new Set(eventKinds.map((kind) => `${kind.split('.')[0]}.*`))]
export const eventPatterns = ['*', ...groups, ...eventKinds] as [string, ...string[]]

/** Whether a webhook that asks for `patterns` gets events of this kind. */
export const wants = (patterns: readonly string[], kind: string): boolean =>
  patterns.some((pattern) => pattern === kind || (pattern.endsWith('*') && kind.startsWith(pattern.slice(0, -1))))

export const webhookInput = z.object({
  url: z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }).max(2_000),
  kinds: z.array(z.enum(eventPatterns)).min(1).max(100).meta({ description: 'Kinds of events; "deployment.*" are all of a group, "*" are all.' }),
  enabled: z.boolean().default(true),
})
export type WebhookInput = z.output<typeof webhookInput>

export const webhookView = z.object({
  id,
  /** null: events of all projects of the team. */
  projectId: id.nullable(),
  url: z.string(),
  kinds: z.array(z.string()),
  enabled: z.boolean(),
  /** Why it was switched off by itself. */
  disabledReason: z.string().nullable(),
  /** Since when no delivery has succeeded; null: the last one did. */
  failingSince: iso.nullable(),
  /** Until when deliveries are signed with the previous secret as well. */
  previousSecretUntil: iso.nullable(),
  createdAt: iso,
  updatedAt: iso,
})
export type WebhookView = z.infer<typeof webhookView>
export const webhookList = z.object({ items: z.array(webhookView) })
export const webhookPath = z.object({ webhookId: id })
export const webhookSecret = z.object({ secret: z.string(), previousSecretUntil: iso.nullable() })
export const rotateInput = z.object({
  overlapHours: z.number().min(0).max(168).default(24).meta({ description: 'How long the previous secret signs as well.' }),
})

/** The states of a delivery; the last three are final. */
export const deliveryStates = ['pending', 'delivered', 'failed', 'canceled'] as const

/** One attempt of a delivery. */
export const webhookAttempt = z.object({
  at: iso,
  durationMs: z.number(),
  /** Status of the answer; null: there was none. */
  status: z.number().nullable(),
  /** Beginning of the answer; null: none, or from a private network, whose answers are not shown. */
  response: z.string().nullable(),
  /** Why it did not count as delivered. */
  error: z.string().nullable(),
})
export type WebhookAttempt = z.infer<typeof webhookAttempt>

export const deliveryView = z.object({
  id,
  direction: z.literal('out'),
  projectId: id.nullable(),
  webhookId: id,
  host: z.string(),
  /** `webhook-id` of the request: the id of the event. */
  messageId: z.string(),
  kind: z.string(),
  state: z.enum(deliveryStates),
  attempts: z.number(),
  nextAttemptAt: iso.nullable(),
  lastAttempt: webhookAttempt.nullable(),
  /** The delivery that this one repeats. */
  replayOf: id.nullable(),
  createdAt: iso,
  endedAt: iso.nullable(),
})
export type DeliveryView = z.infer<typeof deliveryView>
export const deliveryDetail = deliveryView.extend({ body: z.string(), tries: z.array(webhookAttempt) })
export type DeliveryDetail = z.infer<typeof deliveryDetail>
export const deliveryPath = z.object({ deliveryId: id })
export const deliveryFilter = {
  projectId: z.string().min(1).max(64).optional().meta({ description: 'Id or slug; default: the whole team.' }),
  webhookId: id.optional(),
  state: z.enum(deliveryStates).optional(),
  kind: z.string().min(1).max(100).optional(),
}
export const deliveriesQuery = pageInput.extend({ direction: z.literal('out').default('out'), ...deliveryFilter })
export type DeliveryFilter = Pick<z.output<typeof deliveriesQuery>, keyof typeof deliveryFilter>
export const deliveryPage = z.object({ items: z.array(deliveryView), nextCursor: z.string().nullable() })
export type DeliveryPage = z.infer<typeof deliveryPage>
