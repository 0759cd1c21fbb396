import { domainPath, domainView } from '@/shared/domains'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const check = procedureFor('domain.check')
  .input(domainPath)
  .output(domainView)
  .mutation(({ ctx, input }) => getPlatform().domains.check(ctx.actor, input.domain))
