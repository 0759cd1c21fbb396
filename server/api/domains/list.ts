import { z } from 'zod'
import { domainView } from '@/shared/domains'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const list = procedureFor('domain.read')
  .input(z.object({ projectId: z.string().min(1).max(64) }))
  .output(z.array(domainView))
  .query(({ ctx, input }) => getPlatform().domains.list(ctx.actor, input.projectId))
