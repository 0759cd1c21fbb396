import { z } from 'zod'
import { targetEventView } from '@/shared/traffic'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

/** When routers took instances out of the rotation and back. */
export const targetEvents = procedureFor('traffic.read')
  .input(z.object({ projectId: z.string().min(1).max(64) }))
  .output(z.array(targetEventView))
  .query(({ ctx, input }) => getPlatform().traffic.targetEvents(ctx.actor, input.projectId))
