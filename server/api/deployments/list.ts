import { z } from 'zod'
import { deploymentSummary, pageInput } from '@/shared/views'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

/** Newest first, of one project or of the whole team. */
export const list = procedureFor('deployment.read')
  .input(pageInput.extend({ projectId: z.string().min(1).max(64).optional() }))
  .output(z.object({ items: z.array(deploymentSummary), nextCursor: z.string().nullable() }))
  .query(({ ctx, input: { projectId, limit, cursor } }) =>
    getPlatform().deployments.list(ctx.actor, { projectId }, cursor === undefined ? { limit } : { limit, cursor }),
  )
