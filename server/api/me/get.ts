import { meView } from '@/shared/views'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

export const get = procedureFor('me.read')
  .output(meView)
  .query(({ ctx }) => getPlatform().accounts.describe(ctx.actor))
