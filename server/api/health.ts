import { getPlatform, type Platform } from '../platform'

/**
 * Health for load balancers and scripts, without sign-in. Shows which checks pass but not why a check fails; operators see the reason on
 * the settings page.
 */
export async function handleHealth(): Promise<Response> {
  const answer = await currentHealth()
  return Response.json(answer, { status: answer.ok ? 200 : 503, headers: { 'cache-control': 'no-store' } })
}

interface PublicHealth {
  /** The platform can be used. */
  ok: boolean
  /** `degraded`: usable, but a check fails. */
  status: 'ok' | 'degraded' | 'unavailable'
  /** Content of the file `installation` in SWITCHYARD_HOME: distinguishes several installations on one address. */
  installation?: string
  checks: Record<string, boolean>
}

async function currentHealth(): Promise<PublicHealth> {
  let health: Awaited<ReturnType<Platform['health']>>
  try {
    health = await getPlatform().health()
  } catch {
    // The platform has not started, or the check failed; the log of the control process has the reason.
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
