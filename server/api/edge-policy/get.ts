import { z } from 'zod'
import { edgePolicyView } from '@/shared/edge-settings'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const get = procedureFor('project.read')
  .input(z.object({ project: z.string().min(1).max(64) }))
  .output(edgePolicyView)
  .query(({ ctx, input }) => getPlatform().edgePolicy.get(ctx.actor, input.project))
