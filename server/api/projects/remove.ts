import { z } from 'zod'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const remove = procedureFor('project.remove')
  .input(z.object({ projectId: z.string().min(1).max(64), confirmName: z.string().max(100) }))
  .output(z.void())
  .mutation(({ ctx, input }) => getPlatform().projects.remove(ctx.actor, input.projectId, input.confirmName))
