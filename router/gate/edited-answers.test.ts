/** What rules add to every answer, and where a stale answer is looked for, when the cache answers in an instance's place. */
import { afterEach, describe, expect, test } from 'vitest'
import { SharedCache } from '../cache/answer-cache'
import { routeTo } from '../engine/contract/testing'
import type { LiveRoute } from '../match/host-table'
import type { Problem } from '../pages/pages'
import type { ForwardPlan, LocalAnswer, RequestFacts } from './gate'
import { factsOf, gateFor, headerOf, type RequestInput } from './testing'

const refused: Problem = { kind: 'refused', host: 'app.test', projectName: 'shop' }
const headers = [{ source: '/(.*)', headers: [{ key: 'X-Frame-Options', value: 'DENY' }] }]
const kept: [string, string][] = [
  ['Cache-Control', 's-maxage=1, stale-if-error=600'],
  ['ETag', '"1"'],
]

const caches: SharedCache[] = []
afterEach(() => {
  for (const cache of caches.splice(0)) cache.close()
})

/** A gate before a cache; `kept` answers of the instance are put into it by asking for them. */
function world(policy: Parameters<typeof gateFor>[0]) {
  const clock = { now: 0 }
  const cache = new SharedCache({ ask: async () => null, directory: null, now: () => clock.now })
  caches.push(cache)
  const other = routeTo('other.test', [{ instanceId: 'o', host: '127.0.0.1', port: 2 }], { projectId: 'other' })
  const made = gateFor(policy, {}, { routes: [other], options: { cache } })
  const plan = async (target: string, asked: RequestInput = {}) => {
    const facts = factsOf(target, asked)
    const admission = await made.gate.admit(made.table.find(facts.host) as LiveRoute, facts)
    if (admission.kind !== 'forward') throw new Error(`${target} is not forwarded`)
    return { facts, plan: admission }
  }
  const answered = async (target: string, asked?: RequestInput) => {
    const { plan: forward } = await plan(target, asked)
    forward.filter?.onHead(200, [...kept, ['Content-Length', '0'], ['X-Of', forward.target ?? target]])
  }
  const failed = async ({ facts, plan: forward }: { facts: RequestFacts; plan: ForwardPlan }, problem = refused): Promise<LocalAnswer> => {
    forward.filter?.abort()
    return made.gate.problem(problem, forward.route, facts)
  }
  return { clock, plan, answered, failed }
}

describe('header rules hold', () => {
  test('for an answer that the instance said is unchanged', async () => {
    const { clock, plan, answered } = world({ headers })
    await answered('/')
    clock.now += 5_000
    const { plan: again } = await plan('/')
    const seen = again.filter?.onHead(304, [])
    expect(seen && 'replace' in seen && headerOf(seen.replace.headers, 'x-frame-options')).toBe('DENY')
  })

  test('for a stale one in place of an error of the instance, and of an instance that cannot be asked', async () => {
    const { clock, plan, answered, failed } = world({ headers })
    await answered('/')
    clock.now += 5_000
    const { plan: again } = await plan('/')
    const seen = again.filter?.onHead(503, [])
    expect(seen && 'replace' in seen && headerOf(seen.replace.headers, 'x-frame-options')).toBe('DENY')
    const stale = await failed(await plan('/'))
    expect(stale.status).toBe(200)
    expect(headerOf(stale.headers, 'x-frame-options')).toBe('DENY')
  })
})

describe('an instance that cannot be asked is covered by what may be stale', () => {
  test('under the address a rule rewrote to, of this project and of another', async () => {
    const rewrites = [
      { source: '/a', destination: '/b' },
      { source: '/o', destination: 'project:other.test/c' },
    ]
    const { clock, plan, answered, failed } = world({ rewrites })
    await answered('/a')
    await answered('/o')
    clock.now += 5_000
    for (const [target, of] of [
      ['/a', '/b'],
      ['/o', '/c'],
    ] as const) {
      const stale = await failed(await plan(target))
      expect(stale.status).toBe(200)
      expect(headerOf(stale.headers, 'x-of')).toBe(of)
    }
  })

  test('and never by what is kept of the address before the rewrite, which others see', async () => {
    const rewrites = [{ source: '/', destination: '/new', has: [{ type: 'cookie' as const, key: 'beta' }] }]
    const { clock, plan, answered, failed } = world({ rewrites })
    await answered('/')
    clock.now += 5_000
    const headersOf = { cookie: 'beta=1' }
    expect((await failed(await plan('/', { headers: headersOf }))).status).toBe(502)
    expect((await failed(await plan('/'))).status).toBe(200)
  })
})
