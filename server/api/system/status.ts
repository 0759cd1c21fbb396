import { systemView } from '@/shared/views'
import { getPlatform } from '../../platform'
import { procedureFor } from '../trpc'

/** Details name paths and addresses of the machine: they are for its operators. */
export const status = procedureFor('system.read')
  .output(systemView)
  .query(async ({ ctx }) => {
    const { settings, health } = getPlatform()
    const { ready, weakness, checks } = await health()
    const shown = Object.entries(checks).map(([name, check]) => [name, { ok: check.ok, detail: ctx.actor.operator ? check.detail : null }])
    const { version, runtime, baseDomain, edgeHttpPort, appUrlPattern } = settings
    return { version, runtime, baseDomain, edgeHttpPort, appUrlPattern, ready, weakness, checks: Object.fromEntries(shown) }
  })
