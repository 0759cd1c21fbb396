import { z } from 'zod'
import { domainInput, domainView } from '@/shared/domains'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const add = procedureFor('domain.write')
  .input(domainInput.extend({ projectId: z.string().min(1).max(64) }))
  .output(domainView)
  .mutation(({ ctx, input: { projectId, ...domain } }) => getPlatform().domains.add(ctx.actor, projectId, domain))
