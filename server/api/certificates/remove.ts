import { z } from 'zod'
import { certificatePath } from '@/shared/certificates'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const remove = procedureFor('certificate.write')
  .input(certificatePath)
  .output(z.void())
  .mutation(({ ctx, input }) => getPlatform().certificates.remove(ctx.actor, input.certificateId))
