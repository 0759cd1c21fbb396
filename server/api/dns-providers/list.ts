import { z } from 'zod'
import { dnsProviderView } from '@/shared/certificates'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const list = procedureFor('dns-provider.read')
  .output(z.array(dnsProviderView))
  .query(({ ctx }) => getPlatform().dnsProviders.list(ctx.actor))
