import { z } from 'zod'
import { domainPath } from '@/shared/domains'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const remove = procedureFor('domain.write')
  .input(domainPath.extend({ confirmHostname: z.string().max(300) }))
  .output(z.void())
  .mutation(({ ctx, input }) => getPlatform().domains.remove(ctx.actor, input.domain, input.confirmHostname))
