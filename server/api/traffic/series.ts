import { z } from 'zod'
import { trafficQuery, trafficSeries } from '@/shared/traffic'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const series = procedureFor('traffic.read')
  .input(trafficQuery.extend({ projectId: z.string().min(1).max(64) }))
  .output(trafficSeries)
  .query(({ ctx, input: { projectId, ...query } }) => getPlatform().traffic.series(ctx.actor, projectId, query))
