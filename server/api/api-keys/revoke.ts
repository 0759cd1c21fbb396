import { z } from 'zod'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const revoke = procedureFor('api-key.write')
  .input(z.object({ id: z.string().min(1).max(64) }))
  .output(z.void())
  .mutation(({ ctx, input }) => getPlatform().apiKeys.revoke(ctx.actor, input.id))
