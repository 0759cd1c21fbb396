import { z } from 'zod'
import { deploymentView } from '@/shared/views'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const cancel = procedureFor('deployment.cancel')
  .input(z.object({ deploymentId: z.string().min(1).max(64) }))
  .output(deploymentView)
  .mutation(({ ctx, input }) => getPlatform().deployments.cancel(ctx.actor, input.deploymentId))
