import { z } from 'zod'
import { variableView } from '@/shared/views'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const list = procedureFor('variable.read')
  .input(z.object({ projectId: z.string().min(1).max(64) }))
  .output(z.array(variableView))
  .query(({ ctx, input }) => getPlatform().variables.list(ctx.actor, input.projectId))
