import { z } from 'zod'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

/** The deployment now, and again after each change, until it has ended. */
export const watch = procedureFor('deployment.read')
  .input(z.object({ deploymentId: z.string().min(1).max(64) }))
  .subscription(async function* ({ ctx, input }) {
    yield* getPlatform().deployments.watch(ctx.actor, input.deploymentId, ctx.signal)
  })
