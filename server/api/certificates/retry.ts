import { certificatePath, certificateView } from '@/shared/certificates'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const retry = procedureFor('certificate.retry')
  .input(certificatePath)
  .output(certificateView)
  .mutation(({ ctx, input }) => getPlatform().certificates.retry(ctx.actor, input.certificateId))
