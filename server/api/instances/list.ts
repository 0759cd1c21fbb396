import { z } from 'zod'
import { instanceView } from '@/shared/views'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const list = procedureFor('instance.read')
  .input(z.object({ projectId: z.string().min(1).max(64) }))
  .output(z.array(instanceView))
  .query(({ ctx, input }) => getPlatform().instances.list(ctx.actor, input.projectId))
