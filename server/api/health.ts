import { getPlatform, type Platform } from '../platform'

/** For load balancers and scripts, without sign-in: which checks hold, and nothing about why one does not. */
export async function handleHealth(): Promise<Response> {
  const answer = await currentHealth()
  return Response.json(answer, { status: answer.ok ? 200 : 503, headers: { 'cache-control': 'no-store' } })
}

async function currentHealth(): Promise<{ ok: boolean; checks: Record<string, boolean> }> {
  let health: Awaited<ReturnType<Platform['health']>>
  try {
    health = await getPlatform().health()
  } catch {
    // Not started, or the check itself failed: either way not ready. The log of the control process has the reason.
    return { ok: false, checks: {} }
  }
  return { ok: health.ready, checks: Object.fromEntries(Object.entries(health.checks).map(([name, check]) => [name, check.ok])) }
}
