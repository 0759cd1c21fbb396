import { dnsProviderInput, dnsProviderView } from '@/shared/certificates'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const create = procedureFor('dns-provider.write')
  .input(dnsProviderInput)
  .output(dnsProviderView)
  .mutation(({ ctx, input }) => getPlatform().dnsProviders.create(ctx.actor, input))
