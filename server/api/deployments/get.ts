import { z } from 'zod'
import { deploymentView } from '@/shared/views'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const get = procedureFor('deployment.read')
  .input(z.object({ deploymentId: z.string().min(1).max(64) }))
  .output(deploymentView)
  .query(({ ctx, input }) => getPlatform().deployments.get(ctx.actor, input.deploymentId))
