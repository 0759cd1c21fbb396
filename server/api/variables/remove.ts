import { z } from 'zod'
import { variableInput } from '@/shared/views'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const remove = procedureFor('variable.write')
  .input(variableInput.pick({ key: true }).extend({ projectId: z.string().min(1).max(64) }))
  .output(z.void())
  .mutation(({ ctx, input }) => getPlatform().variables.remove(ctx.actor, input.projectId, input.key))
