import { certificatePage, certificatesQuery } from '@/shared/certificates'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

/** Newest first, of the whole team or of one project. */
export const list = procedureFor('certificate.read')
  .input(certificatesQuery)
  .output(certificatePage)
  .query(({ ctx, input: { limit, cursor, ...filter } }) => getPlatform().certificates.list(ctx.actor, filter, { limit, cursor }))
