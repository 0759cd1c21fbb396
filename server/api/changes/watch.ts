import { getPlatform } from '../../platform'
import { signalOf } from '../stream'
import { procedureFor } from '../trpc'

/** After every change the team can see: the dashboard refetches what it shows instead of polling. */
export const watch = procedureFor('change.watch').subscription(async function* ({ ctx, signal }) {
  yield* getPlatform().changes(ctx.actor, signalOf(signal))
})
