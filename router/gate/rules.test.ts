import { describe, expect, test } from 'vitest'
import { defaultProjectRules, type ProjectRules } from '@/shared/project-rules'
import { routeTo, tableOf } from '../engine/contract/testing'
import { HostTable } from '../match/host-table'
import type { Admission, ContentSource, ForwardPlan, LocalAnswer } from './gate'
import { brief, factsOf, gateFor, headerOf } from './testing'

const says = async (policy: Partial<ProjectRules>, target: string) => brief(await gateFor(policy).ask(target))

describe('order', () => {
  test('the first redirect that matches is taken, exact, prefixed and open ones mixed', async () => {
    const redirects = [
      { source: '/a/:x(\\d+)', destination: '/number', status: 307 as const },
      { source: '/:x/special', destination: '/open', status: 307 as const },
      { source: '/a/special', destination: '/exact', status: 307 as const },
      { source: '/a/:x', destination: '/prefixed', status: 307 as const },
      { source: '/(.*)', destination: '/rest', status: 307 as const },
    ]
    const gate = gateFor({ redirects })
    const to = async (path: string) => brief(await gate.ask(path))
    expect(await to('/a/1')).toBe('307 /number')
    expect(await to('/a/special')).toBe('307 /open')
    expect(await to('/a/x')).toBe('307 /prefixed')
    expect(await to('/b')).toBe('307 /rest')
    const exactFirst = gateFor({ redirects: [redirects[2], redirects[1]].flatMap((rule) => rule ?? []) })
    expect(brief(await exactFirst.ask('/a/special'))).toBe('307 /exact')
  })

  test('redirects come before rewrites, spelling before both', async () => {
    const policy: Partial<ProjectRules> = {
      cleanUrls: true,
      redirects: [{ source: '/a', destination: '/b', status: 301 }],
      rewrites: [
        { source: '/a', destination: '/never' },
        { source: '/c', destination: '/d' },
      ],
    }
    expect(await says(policy, '/a.html')).toBe('308 /a')
    expect(await says(policy, '/a?x=1')).toBe('301 /b?x=1')
    expect(await says(policy, '/c?x=1')).toBe('forward /d?x=1')
    expect(await says(policy, '/e')).toBe('forward as it is')
  })

  test('files lie between early and late rewrites, and late redirects', async () => {
    const files: Record<string, number> = { '/page': 1, '/early': 1, '/late': 1, '/moved': 1 }
    const answer = (why: string): LocalAnswer => ({ status: 200, headers: [], body: null, cache: 'static', why })
    const content: ContentSource = {
      find: (_route, path) => (files[path] ? answer(`file ${path}`) : null),
      fallback: () => answer('fallback'),
      page: () => null,
    }
    const policy: Partial<ProjectRules> = {
      redirects: [{ source: '/:x', destination: '/elsewhere', status: 302, afterFiles: true, has: [{ type: 'query', key: 'r' }] }],
      rewrites: [
        { source: '/page', destination: '/early', beforeFiles: true, has: [{ type: 'query', key: 'e' }] },
        { source: '/(.*)', destination: '/late' },
      ],
    }
    const gate = gateFor(policy, { targets: [], content: { digest: 'd', directory: '/x', spa: false } }, { options: { content } })
    expect(brief(await gate.ask('/page'))).toBe('200 file /page')
    expect(brief(await gate.ask('/page?e'))).toBe('200 file /early')
    expect(brief(await gate.ask('/moved?r'))).toBe('200 file /moved')
    expect(brief(await gate.ask('/gone?r'))).toBe('302 /elsewhere?r')
    expect(brief(await gate.ask('/other'))).toBe('200 file /late')
    expect(brief(await gate.ask('/page', { method: 'POST' }))).toBe('problem read-only')
    files['/vercel.json'] = 1
    const sees = gateFor({}, { targets: [], content: { digest: 'd', directory: '/x', spa: false } }, { options: { content } })
    for (const path of ['/vercel.json', '/%5fredirects', '/./_headers']) expect(brief(await sees.ask(path))).toBe('200 fallback')
    const noRules = gateFor({}, { targets: [], content: { digest: 'd', directory: '/x', spa: false } }, { options: { content } })
    expect(brief(await noRules.ask('/nothing'))).toBe('200 fallback')
  })
})

describe('rewrites', () => {
  test('parameters that are not used go into the query, as in vercel.json', async () => {
    expect(await says({ rewrites: [{ source: '/u/:id', destination: '/user' }] }, '/u/7?a=1')).toBe('forward /user?a=1&id=7')
    expect(await says({ rewrites: [{ source: '/u/:id', destination: '/user/:id' }] }, '/u/7?a=1')).toBe('forward /user/7?a=1')
    expect(await says({ rewrites: [{ source: '/(.*)', destination: '/index' }] }, '/u')).toBe('forward /index')
  })

  test('lead to another project of the same team, and only there, and not past its doors', async () => {
    const rewrites = [
      { source: '/shop/:path*', destination: 'project:shop.test/:path*' },
      { source: '/foreign', destination: 'project:foreign.test/' },
      { source: '/gone', destination: 'project:gone.test/' },
      { source: '/shut', destination: 'project:shut.test/' },
    ]
    const target = { instanceId: 's', host: '127.0.0.1', port: 2 }
    const routes = [
      routeTo('shop.test', [target]),
      routeTo('foreign.test', [target], { teamId: 'other' }),
      routeTo('shut.test', [target], { policy: 'shut' }),
    ]
    const shut: ProjectRules = { ...defaultProjectRules, protection: { kind: 'token', digests: [] } }
    const gate = gateFor({ rewrites }, {}, { routes, policies: { shut } })
    expect(brief(await gate.ask('/shop/a/b?c=1'))).toBe('forward shop.test /a/b?c=1')
    expect(brief(await gate.ask('/foreign'))).toBe('problem rule-failed')
    expect(brief(await gate.ask('/gone'))).toBe('problem rule-failed')
    expect(brief(await gate.ask('/shut'))).toBe('problem protected')
  })

  test('into another project end there: no later rule of this one is applied to its paths', async () => {
    const rewrites = [
      { source: '/api/:path*', destination: 'project:api.test/:path*', beforeFiles: true },
      { source: '/(.*)', destination: '/index.html' },
    ]
    const redirects = [{ source: '/users', destination: '/people', status: 302 as const, afterFiles: true }]
    const routes = [routeTo('api.test', [{ instanceId: 'a', host: '127.0.0.1', port: 2 }])]
    const gate = gateFor({ rewrites, redirects }, {}, { routes })
    expect(brief(await gate.ask('/api/users'))).toBe('forward api.test /users')
    expect(brief(await gate.ask('/users'))).toBe('302 /people')
    expect(brief(await gate.ask('/else'))).toBe('forward /index.html')
  })

  test('lead outside only where an operator allowed it, and never into a private network by a name', async () => {
    const names: Record<string, string[]> = {
      'api.example.com': ['93.184.215.14'],
      'a.wild.test': ['2606:4700::1'],
      'sneaky.wild.test': ['93.184.215.14', '10.0.0.1'],
      'mapped.wild.test': ['::ffff:127.0.0.1'],
      'inside.test': ['10.1.2.3'],
      'office.wild.test': ['10.1.2.4'],
    }
    const rewrites = [
      { source: '/api/:path*', destination: 'https://api.example.com/v1/:path*' },
      { source: '/to/:host', destination: 'http://:host/' },
      { source: '/port', destination: 'http://inside.test:8080/' },
      { source: '/ip', destination: 'http://192.168.1.5/' },
    ]
    const outsideHosts = ['api.example.com', '*.wild.test', 'private:office.wild.test', 'private:inside.test:8080', '192.168.1.5']
    const resolve = async (name: string) => names[name] ?? []
    const gate = gateFor({ rewrites }, {}, { table: { outsideHosts }, options: { resolve } })
    const to = async (path: string) => brief(await gate.ask(path))
    expect(await to('/api/x?y=1')).toBe('forward https://93.184.215.14:443 as api.example.com /v1/x?y=1')
    expect(await to('/to/a.wild.test')).toBe('forward http://2606:4700::1:80 as a.wild.test /')
    expect(await to('/to/office.wild.test')).toBe('forward http://10.1.2.4:80 as office.wild.test /')
    expect(await to('/port')).toBe('forward http://10.1.2.3:8080 as inside.test /')
    expect(await to('/ip')).toBe('forward http://192.168.1.5:80 as 192.168.1.5 /')
    for (const path of ['/to/sneaky.wild.test', '/to/mapped.wild.test', '/to/inside.test', '/to/evil.test', '/to/unknown.wild.test', '/to/127.0.0.1'])
      expect(await to(path), path).toBe('problem rule-failed')
    gate.gate.apply(new HostTable(tableOf([])))
    expect(await to('/api/x')).toBe('problem rule-failed')
  })
})

test('a rewrite to an outside address that leads back here ends after a few rounds, and others are named as they came', async () => {
  const rewrites = [{ source: '/(.*)', destination: 'https://api.example.com/$1' }]
  const options = { resolve: async () => ['93.184.215.14'] }
  const { ask } = gateFor({ rewrites }, {}, { table: { outsideHosts: ['api.example.com'] }, options })
  let loop = 'cdn.test; v=1'
  let rounds = 0
  for (; rounds < 20; rounds += 1) {
    const admission = await ask('/a', { headers: { 'cdn-loop': loop } })
    if (admission.kind !== 'forward') break
    const set = admission.requestHeaders?.set ?? []
    expect(headerOf(set, 'cdn-loop')).toBe(`${loop}, switchyard`)
    loop = headerOf(set, 'cdn-loop') ?? ''
  }
  expect(rounds).toBe(5)
  expect(await ask('/a', { headers: { 'cdn-loop': loop } })).toMatchObject({ problem: { kind: 'rule-failed', status: 502 } })
  expect(await ask('/a')).toMatchObject({ requestHeaders: { set: [['CDN-Loop', 'switchyard']] } })
})

describe('headers', () => {
  const headers = [
    { source: '/(.*)', headers: [{ key: 'X-All', value: '1' }] },
    { source: '/static/(.*)', headers: [{ key: 'Cache-Control', value: 'public, max-age=31536000' }] },
    { source: '/u/:id', headers: [{ key: 'X-User', value: 'u-:id' }] },
    {
      source: '/static/x',
      headers: [
        { key: 'x-all', value: '2' },
        { key: 'Vary', value: 'Cookie' },
      ],
    },
  ]

  test('of all rules that match are set, the later wins, and equal sets are one object', async () => {
    const gate = gateFor({ headers })
    const edits = async (path: string) => ((await gate.ask(path)) as ForwardPlan).responseHeaders
    expect(await edits('/')).toEqual({ remove: [], set: [['X-All', '1']], append: [] })
    expect((await edits('/static/x'))?.set).toEqual([
      ['x-all', '2'],
      ['Cache-Control', 'public, max-age=31536000'],
    ])
    expect((await edits('/static/x'))?.append).toEqual([['Vary', 'Cookie']])
    expect(await edits('/static/a')).toBe(await edits('/static/b'))
    expect(headerOf((await edits('/u/7'))?.set ?? [], 'x-user')).toBe('u-7')
  })

  test('a captured line end cannot become another header', async () => {
    const gate = gateFor({ headers: [{ source: '/:x(.*)', headers: [{ key: 'X-Path', value: ':x' }] }] })
    const plan = (await gate.ask('/a%0d%0aSet-Cookie:%20b=c')) as ForwardPlan
    expect(plan.responseHeaders?.set).toEqual([['X-Path', 'aSet-Cookie: b=c']])
  })

  test('HSTS goes out over HTTPS alone', async () => {
    const plain = gateFor({}, { hstsSeconds: 300 })
    expect(((await plain.ask('/', { scheme: 'https' })) as ForwardPlan).responseHeaders?.set).toEqual([['Strict-Transport-Security', 'max-age=300']])
    expect(((await plain.ask('/')) as ForwardPlan).responseHeaders).toBeNull()
    const ruled = gateFor({ headers }, { hstsSeconds: 300 })
    expect(headerOf(((await ruled.ask('/', { scheme: 'https' })) as ForwardPlan).responseHeaders?.set ?? [], 'strict-transport-security')).toBe(
      'max-age=300',
    )
  })
})

test.each([
  // cleanUrls, trailingSlash, path → location
  [true, null, '/about.html', '308 /about'],
  [true, null, '/index.html', '308 /'],
  [true, null, '/docs/index.html?a=1', '308 /docs?a=1'],
  [true, null, '/docs/index', '308 /docs'],
  [true, null, '/about', 'forward as it is'],
  [true, true, '/about.html', '308 /about/'],
  [false, true, '/about', '308 /about/'],
  [false, true, '/app.js', 'forward as it is'],
  [false, true, '/app.js/', '308 /app.js'],
  [false, true, '/', 'forward as it is'],
  [false, false, '/about/', '308 /about'],
  [false, false, '/', 'forward as it is'],
  [false, false, '//evil.test/', '308 /evil.test'],
  [true, null, '//evil.test/index.html', '308 /evil.test'],
  [true, true, '/.well-known/acme-challenge/x', 'forward as it is'],
])('cleanUrls %s, trailingSlash %s: %s → %s', async (cleanUrls, trailingSlash, path, expected) => {
  expect(await says({ cleanUrls, trailingSlash }, path)).toBe(expected)
})

test('a path that would cost too much is refused, not let past the rules', async () => {
  const redirects = Array.from({ length: 300 }, (_, i) => ({ source: `/(.*)a(.*)b(.*)c${i}`, destination: '/', status: 308 as const }))
  const gate = gateFor({ redirects })
  const before = process.threadCpuUsage()
  expect(brief(await gate.ask(`/${'ab'.repeat(2000)}`))).toBe('problem rule-failed')
  expect(brief(await gate.ask(`/${'ab'.repeat(4000)}`))).toBe('problem rule-failed')
  expect(process.threadCpuUsage(before).user).toBeLessThan(1_000_000)
  expect(brief(await gate.ask('/ok'))).toBe('forward as it is')
})

test('2,048 rules cost an ordinary request no more than two do', () => {
  const best = (count: number) => {
    const redirects = Array.from({ length: count }, (_, i) => ({ source: `/old-${i}/:slug*`, destination: `/new-${i}/:slug*`, status: 308 as const }))
    const { gate, table } = gateFor({ redirects })
    const route = table.find('app.test')
    if (!route) throw new Error('no route')
    let least = Infinity
    for (let round = 0; round < 20; round += 1) {
      const begun = performance.now()
      for (let i = 0; i < 500; i += 1) void gate.admit(route, factsOf(`/page/${i}`))
      least = Math.min(least, performance.now() - begun)
    }
    return least
  }
  // Walked, it would be a thousand times.
  expect(best(2048)).toBeLessThan(20 * best(2))
})

test('a route that asks for nothing gets one and the same plan', async () => {
  const gate = gateFor({})
  expect(await gate.ask('/a')).toBe(await gate.ask('/b?c'))
})

describe('what was found for a path once', () => {
  const policy = {
    redirects: [{ source: '/old/:path*', destination: '/new/:path*', status: 308 as const }],
    headers: [{ source: '/files/:path*', headers: [{ key: 'X-Kind', value: 'file' }] }],
  }
  const edits = (admission: Admission) => (admission.kind === 'forward' ? admission.responseHeaders : admission.kind)

  test('holds for the next request, with what it adds, and for no other path', async () => {
    const { ask } = gateFor(policy)
    for (let round = 0; round < 3; round++) {
      expect(edits(await ask('/files/a?x=1'))).toMatchObject({ set: [['X-Kind', 'file']] })
      expect(edits(await ask('/plain'))).toBeNull()
      expect(edits(await ask('/old/a'))).toBe('answer')
    }
    expect(edits(await ask('/files/a'))).toBe(edits(await ask('/files/a')))
  })

  test('does not carry HSTS to plain HTTP', async () => {
    const { ask } = gateFor(policy, { hstsSeconds: 60 })
    expect(edits(await ask('/plain', { scheme: 'https' }))).toMatchObject({ set: [['Strict-Transport-Security', 'max-age=60']] })
    expect(edits(await ask('/plain'))).toBeNull()
    expect(edits(await ask('/plain', { scheme: 'https' }))).toMatchObject({ set: [['Strict-Transport-Security', 'max-age=60']] })
  })

  test('is not kept where a rule looks at more than the path', async () => {
    const has = [{ type: 'header' as const, key: 'x-old', value: '1' }]
    const { ask } = gateFor({ redirects: [{ source: '/a', destination: '/b', status: 308, has }] })
    expect(edits(await ask('/a'))).toBeNull()
    expect(edits(await ask('/a', { headers: { 'x-old': '1' } }))).toBe('answer')
  })

  test('is not kept where visitors are told apart', async () => {
    const { ask } = gateFor({ ...policy, allowedAddresses: ['203.0.113.0/24'] })
    expect(edits(await ask('/plain'))).toBeNull()
    expect(edits(await ask('/plain', { clientIp: '198.51.100.1' }))).toBe('problem')
  })
})
