import { dnsProviderPatch, dnsProviderPath, dnsProviderView } from '@/shared/certificates'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const update = procedureFor('dns-provider.write')
  .input(dnsProviderPath.extend({ patch: dnsProviderPatch }))
  .output(dnsProviderView)
  .mutation(({ ctx, input }) => getPlatform().dnsProviders.update(ctx.actor, input.dnsProviderId, input.patch))
