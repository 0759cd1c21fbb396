import { domainPatch, domainPath, domainView } from '@/shared/domains'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const update = procedureFor('domain.write')
  .input(domainPath.extend({ patch: domainPatch }))
  .output(domainView)
  .mutation(({ ctx, input }) => getPlatform().domains.update(ctx.actor, input.domain, input.patch))
