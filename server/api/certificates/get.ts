import { certificateDetail, certificatePath } from '@/shared/certificates'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const get = procedureFor('certificate.read')
  .input(certificatePath)
  .output(certificateDetail)
  .query(({ ctx, input }) => getPlatform().certificates.get(ctx.actor, input.certificateId))
