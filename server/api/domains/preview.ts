import { z } from 'zod'
import { domainInput, domainPreview } from '@/shared/domains'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const preview = procedureFor('domain.read')
  .input(z.object({ projectId: z.string().min(1).max(64), hostname: domainInput.shape.hostname }))
  .output(domainPreview)
  .query(({ ctx, input }) => getPlatform().domains.preview(ctx.actor, input.projectId, input.hostname))
