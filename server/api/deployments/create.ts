import { deploymentInput, deploymentView } from '@/shared/views'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const create = procedureFor('deployment.create')
  .input(deploymentInput)
  .output(deploymentView)
  .mutation(({ ctx, input }) => getPlatform().deployments.create(ctx.actor, input))
