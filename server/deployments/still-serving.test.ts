import { describe, expect, test } from 'vitest'
import { describeServing, type ServingDeps } from './still-serving'

interface World {
  liveReleaseId?: string | null
  content?: { root: string; spa: boolean }
  located?: boolean
  instances?: { id: string; host: string | null; port: number | null; state: string }[]
  /** Health check result by instance id; null: healthy. */
  problems?: Record<string, string | null>
}

function world({ liveReleaseId = 'r1', content, located = true, instances = [], problems = {} }: World) {
  const checks: unknown[] = []
  const release = {
    deploymentId: 'd1',
    artifact: { digest: 'sha256:1', content: content ?? null },
    config: { health: { path: '/', timeoutMs: 60_000, successes: 3, startPeriodMs: 60_000 } },
  }
  const deps = {
    db: {
      environment: { findUniqueOrThrow: async () => ({ liveReleaseId }) },
      release: { findUniqueOrThrow: async () => release, findMany: async () => [] },
      instance: { findMany: async () => instances },
    },
    contents: { locate: () => (located ? { root: '/' } : null) },
    runtime: {
      probe: async ({ host }: { host: string }, check: unknown) => {
        checks.push(check)
        const reason = problems[host] ?? null
        return { healthy: reason === null, reason }
      },
    },
  } as unknown as ServingDeps
  return { deps, checks }
}
const at = (host: string, state = 'healthy') => ({ id: host, host, port: 80, state, releaseId: 'r1' })
const says = (what: World, routed = true) => describeServing(world(what).deps, 'e1', routed)

describe('what serves after a failed deployment is said as it was found', () => {
  test('an instance that answers is asked once, with a short time-out', async () => {
    const { deps, checks } = world({ instances: [at('a')] })
    expect(await describeServing(deps, 'e1', true)).toBe('Deployment d1 stays live and answers its health check.')
    expect(checks).toMatchObject([{ path: '/', timeoutMs: 5_000, successes: 1, startPeriodMs: 0 }])
  })

  test('one of several that answers is enough, and one that sleeps is said to', async () => {
    expect(await says({ instances: [at('a'), at('b')], problems: { a: 'connection refused.' } })).toMatch(/stays live and answers/)
    expect(await says({ instances: [at('a', 'sleeping')], problems: { a: 'connection refused.' } })).toMatch(/stays live and asleep/)
  })

  test('one that does not answer, or is not there, is not said to serve', async () => {
    expect(await says({ instances: [at('a')], problems: { a: 'asked GET / once: connection refused.' } })).toBe(
      'Deployment d1 stays live, but does not answer at this moment: asked GET / once: connection refused. It is started again by itself.',
    )
    expect(await says({})).toMatch(/stays live, but does not answer at this moment: it has no instance\./)
  })

  test('files are said to serve only where they are', async () => {
    const content = { root: '.', spa: false }
    expect(await says({ content })).toMatch(/its files are where the routers read them\.$/)
    expect(await says({ content, located: false })).toMatch(/but its files are not on this machine now/)
  })

  test('routers that have not confirmed are named, and nothing serves where nothing was live', async () => {
    expect(await says({ instances: [at('a')] }, false)).toMatch(/answers its health check\. Not every router has confirmed its routes/)
    expect(await says({ liveReleaseId: null })).toBe('Nothing was live before, so nothing serves yet.')
  })
})
