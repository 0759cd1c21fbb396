import { z } from 'zod'
import { certificateFilter, certificateView } from '@/shared/certificates'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const list = procedureFor('certificate.read')
  .input(certificateFilter)
  .output(z.array(certificateView))
  .query(({ ctx, input }) => getPlatform().certificates.list(ctx.actor, input))
