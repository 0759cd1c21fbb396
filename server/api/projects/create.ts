import { projectInput, projectView } from '@/shared/views'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const create = procedureFor('project.create')
  .input(projectInput)
  .output(projectView)
  .mutation(({ ctx, input }) => getPlatform().projects.create(ctx.actor, input))
