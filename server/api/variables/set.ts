import { z } from 'zod'
import { variableInput, variableView } from '@/shared/views'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const set = procedureFor('variable.write')
  .input(variableInput.extend({ projectId: z.string().min(1).max(64) }))
  .output(variableView)
  .mutation(({ ctx, input: { projectId, ...variable } }) => getPlatform().variables.set(ctx.actor, projectId, variable))
