import { z } from 'zod'
import { edgePolicyPatch, edgePolicyUpdated } from '@/shared/edge-settings'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const update = procedureFor('project.update')
  .input(z.object({ project: z.string().min(1).max(64), patch: edgePolicyPatch }))
  .output(edgePolicyUpdated)
  .mutation(({ ctx, input }) => getPlatform().edgePolicy.update(ctx.actor, input.project, input.patch))
