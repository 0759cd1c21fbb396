import { z } from 'zod'
import { clearedCacheView } from '@/shared/views'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const clearBuildCache = procedureFor('build-cache.clear')
  .input(z.object({ projectId: z.string().min(1).max(64) }))
  .output(clearedCacheView)
  .mutation(({ ctx, input }) => getPlatform().projects.clearBuildCache(ctx.actor, input.projectId))
