import { z } from 'zod'
import { projectView } from '@/shared/views'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const list = procedureFor('project.read')
  .output(z.array(projectView))
  .query(({ ctx }) => getPlatform().projects.list(ctx.actor))
