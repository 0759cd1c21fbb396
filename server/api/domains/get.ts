import { domainPath, domainView } from '@/shared/domains'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const get = procedureFor('domain.read')
  .input(domainPath)
  .output(domainView)
  .query(({ ctx, input }) => getPlatform().domains.get(ctx.actor, input.domain))
