import { z } from 'zod'
import { requestList, requestsQuery } from '@/shared/traffic'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const requests = procedureFor('traffic.read')
  .input(requestsQuery.extend({ projectId: z.string().min(1).max(64) }))
  .output(requestList)
  .query(({ ctx, input: { projectId, ...query } }) => getPlatform().traffic.requests(ctx.actor, projectId, query))
