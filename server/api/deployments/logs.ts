import { tracked } from '@trpc/server'
import { z } from 'zod'
import { getPlatform } from '../../platform'
import { resumable } from '../stream'
import { procedureFor } from '../trpc'

/** Lines so far, then live ones, until the deployment has ended. */
export const logs = procedureFor('deployment.read')
  .input(z.object({ deploymentId: z.string().min(1).max(64), ...resumable }))
  .subscription(async function* ({ ctx, input }) {
    const query = { after: input.lastEventId ?? undefined, follow: true, signal: ctx.signal }
    for await (const line of getPlatform().deployments.logs(ctx.actor, input.deploymentId, query)) yield tracked(line.id, line)
  })
