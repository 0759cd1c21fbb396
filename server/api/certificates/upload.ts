import { certificateUpload, certificateView } from '@/shared/certificates'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const upload = procedureFor('certificate.write')
  .input(certificateUpload)
  .output(certificateView)
  .mutation(({ ctx, input }) => getPlatform().certificates.upload(ctx.actor, input))
