import { z } from 'zod'
import { dnsProviderPath } from '@/shared/certificates'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const remove = procedureFor('dns-provider.write')
  .input(dnsProviderPath)
  .output(z.void())
  .mutation(({ ctx, input }) => getPlatform().dnsProviders.remove(ctx.actor, input.dnsProviderId))
