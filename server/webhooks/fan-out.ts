import { newId } from '@/shared/node/ids'
import { wants } from '@/shared/webhooks'
import type { Subscriber } from '../outbox/relay'

/** Records a delivery of each event for each webhook of its team that asks for it. */
export const webhookFanOut: Subscriber = {
  async take(tx, messages) {
    const teamIds = [...new Set(messages.map(({ teamId }) => teamId))]
    const webhooks = await tx.webhook.findMany({
      where: { teamId: { in: teamIds }, enabled: true },
      select: { id: true, teamId: true, projectId: true, kinds: true },
    })
    const now = new Date()
    const deliveries = messages.flatMap((message) =>
      webhooks
        .filter(({ teamId, projectId }) => teamId === message.teamId && (projectId === null || projectId === message.projectId))
        .filter(({ kinds }) => wants(kinds, message.kind))
        .map(({ id: webhookId }) => {
          const { teamId, projectId, id: messageId, kind, body } = message
          return { id: newId(), teamId, projectId, webhookId, messageId, kind, body, nextAttemptAt: now }
        }),
    )
    if (deliveries.length > 0) await tx.webhookDelivery.createMany({ data: deliveries })
  },
}
