import { z } from 'zod'
import { purgeInput, purgeView } from '@/shared/purge'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const purge = procedureFor('cache.purge')
  .input(purgeInput.extend({ projectId: z.string().min(1).max(64) }))
  .output(purgeView)
  .mutation(({ ctx, input: { projectId, ...wish } }) => getPlatform().cache.purge(ctx.actor, projectId, wish))
