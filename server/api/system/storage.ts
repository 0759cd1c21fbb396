import { storageView } from '@/shared/views'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

/** For the operators of the machine; null for everybody else. */
export const storage = procedureFor('system.read')
  .output(storageView.nullable())
  .query(({ ctx }) => (ctx.actor.operator ? getPlatform().storage() : null))
