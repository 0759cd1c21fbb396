import { getPlatform, type Platform } from '../platform'

/** For load balancers and scripts, without sign-in: which checks hold, and nothing about why one does not: operators read that on the settings page. */
export async function handleHealth(): Promise<Response> {
  const answer = await currentHealth()
  return Response.json(answer, { status: answer.ok ? 200 : 503, headers: { 'cache-control': 'no-store' } })
}

interface PublicHealth {
  /** The platform can be used. */
  ok: boolean
  /** `degraded`: it can be used, and a check does not hold. */
  status: 'ok' | 'degraded' | 'unavailable'
  /** What lies in the file of that name in SWITCHYARD_HOME: whoever waits for one of several installations knows which one answers. */
  installation?: string
  checks: Record<string, boolean>
}

async function currentHealth(): Promise<PublicHealth> {
  let health: Awaited<ReturnType<Platform['health']>>
  try {
    health = await getPlatform().health()
  } catch {
    // Not started, or the check itself failed: either way not ready. The log of the control process has the reason.
    return { ok: false, status: 'unavailable', checks: {} }
  }
  const checks = Object.entries(health.checks)
  const status = !health.ready ? 'unavailable' : checks.every(([, { ok }]) => ok) ? 'ok' : 'degraded'
  return {
    ok: health.ready,
    status,
    installation: health.installation,
    checks: Object.fromEntries(checks.map(([name, check]) => [name, check.ok])),
  }
}
