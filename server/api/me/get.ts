import { z } from 'zod'
import { meView } from '@/shared/views'
import { getPlatform } from '../../platform'
import { actions, refusedTo, roles } from '../../teams/policy'
import { procedureFor } from '../trpc'

/** The dashboard offers what the server would do: what it refuses this person comes along, with the role it takes. */
const ownView = meView.extend({ refused: z.partialRecord(z.enum(actions), z.enum(roles)) })

export const get = procedureFor('me.read')
  .output(ownView)
  .query(async ({ ctx }) => ({ ...(await getPlatform().accounts.describe(ctx.actor)), refused: refusedTo(ctx.actor) }))
