import { z } from 'zod'
import { deploymentsQuery } from '@/shared/deployment-list'
import { deploymentSummary } from '@/shared/views'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

/** Newest first, of one project or of the whole team, in one status or in any. */
export const list = procedureFor('deployment.read')
  .input(deploymentsQuery)
  .output(z.object({ items: z.array(deploymentSummary), nextCursor: z.string().nullable() }))
  .query(({ ctx, input: { projectId, status, limit, cursor } }) =>
    getPlatform().deployments.list(ctx.actor, { projectId, status }, cursor === undefined ? { limit } : { limit, cursor }),
  )
