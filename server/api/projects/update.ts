import { z } from 'zod'
import { projectPatch, projectView } from '@/shared/views'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const update = procedureFor('project.update')
  .input(z.object({ projectId: z.string().min(1).max(64), patch: projectPatch }))
  .output(projectView)
  .mutation(({ ctx, input }) => getPlatform().projects.update(ctx.actor, input.projectId, input.patch))
