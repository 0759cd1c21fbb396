import { z } from 'zod'
import { projectView } from '@/shared/views'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

/** By id or slug. */
export const get = procedureFor('project.read')
  .input(z.object({ project: z.string().min(1).max(64) }))
  .output(projectView)
  .query(({ ctx, input }) => getPlatform().projects.get(ctx.actor, input.project))
