import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

/** After every change the team can see: the dashboard refetches what it shows instead of polling. */
export const watch = procedureFor('change.watch').subscription(async function* ({ ctx }) {
  yield* getPlatform().changes(ctx.actor, ctx.signal)
})
