import { z } from 'zod'
import { domainPage, domainsQuery } from '@/shared/domains'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

/** Of one project, by name. */
export const list = procedureFor('domain.read')
  .input(domainsQuery.extend({ projectId: z.string().min(1).max(64) }))
  .output(domainPage)
  .query(({ ctx, input: { projectId, search, state, ...page } }) => getPlatform().domains.list(ctx.actor, projectId, { search, state }, page))
