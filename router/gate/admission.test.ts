import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { digestToken, hashPassword } from '@/shared/node/access-secrets'
import { defaultProjectRules, type ProjectRules } from '@/shared/project-rules'
import { routeTo, tableOf, until } from '../engine/contract/testing'
import { HostTable } from '../match/host-table'
import type { ForwardPlan, LocalAnswer } from './gate'
import { brief, factsOf, gateFor, headerOf } from './testing'

const basic = (name: string, password: string) => ({ authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}` })

describe('doors', () => {
  test('a challenge is answered on any host, and never redirected or shut', async () => {
    const policy: Partial<ProjectRules> = { allowedAddresses: ['192.0.2.1'], protection: { kind: 'token', digests: [] } }
    const gate = gateFor(policy, { httpsOnly: true }, { table: { httpsPort: 443 } })
    gate.gate.setChallenges({ tok: 'tok.key' })
    for (const host of ['app.test', 'unknown.test']) {
      const admission = await gate.ask('/.well-known/acme-challenge/tok', { host })
      expect(admission.kind === 'answer' && String(admission.answer.body)).toBe('tok.key')
    }
    expect(brief(await gate.ask('/.well-known/acme-challenge/other', { host: 'unknown.test' }))).toBe('problem unknown-host')
    expect(brief(await gate.ask('/.well-known/acme-challenge/other', { clientIp: '192.0.2.1' }))).toBe('problem protected')
    expect(brief(await gate.ask('/.well-known/acme-challenge/tok', { scheme: 'https' }))).toBe('200 acme-challenge')
  })

  test.each([
    [443, '308 https://app.test/a?b=1'],
    [8443, '308 https://app.test:8443/a?b=1'],
  ])('plain HTTP is sent to HTTPS on port %d', async (httpsPort, expected) => {
    const gate = gateFor({}, { httpsOnly: true }, { table: { httpsPort } })
    expect(brief(await gate.ask('/a?b=1'))).toBe(expected)
    expect(brief(await gate.ask('/a?b=1', { scheme: 'https' }))).toBe('forward as it is')
  })

  test('without HTTPS nobody is sent there; a host that is a redirect is one on both', async () => {
    expect(brief(await gateFor({}, { httpsOnly: true }).ask('/'))).toBe('forward as it is')
    const gate = gateFor({}, { redirectTo: 'https://www.app.test' })
    expect(brief(await gate.ask('/a?b=1'))).toBe('308 https://www.app.test/a?b=1')
  })

  test.each([
    ['203.0.113.9', true],
    ['203.0.113.10', false],
    ['10.1.2.3', true],
    ['::ffff:10.1.2.3', true],
    ['2001:db8::5', true],
    ['2001:db9::5', false],
    ['nonsense', false],
  ])('the list lets %s in: %s', async (clientIp, allowed) => {
    const gate = gateFor({ allowedAddresses: ['203.0.113.9', '10.0.0.0/8', '2001:db8::/32', 'wrong'] })
    for (const _ of [1, 2]) expect(brief(await gate.ask('/', { clientIp }))).toBe(allowed ? 'forward as it is' : 'problem forbidden')
  })

  test('a list of which nothing can be read lets nobody in', async () => {
    expect(brief(await gateFor({ allowedAddresses: ['nonsense/8'] }).ask('/'))).toBe('problem forbidden')
  })

  test('maintenance shuts out all but those who work on it', async () => {
    const gate = gateFor({ maintenance: { message: 'soon', allowedAddresses: ['192.0.2.0/24'] } })
    expect(await gate.ask('/')).toMatchObject({ problem: { kind: 'maintenance', message: 'soon' } })
    expect(brief(await gate.ask('/', { clientIp: '192.0.2.7' }))).toBe('forward as it is')
    expect(brief(await gateFor({ maintenance: { message: null, allowedAddresses: [] } }).ask('/'))).toBe('problem maintenance')
  })
})

describe('a password', () => {
  test('lets in who has it, is kept from the app, and is verified once', async () => {
    const gate = gateFor({ protection: { kind: 'basic', users: [{ name: 'ann', hash: await hashPassword('Grüße:1') }] } })
    expect(brief(await gate.ask('/'))).toBe('problem protected')
    expect(brief(await gate.ask('/', { headers: basic('ann', 'wrong') }))).toBe('problem protected')
    expect(brief(await gate.ask('/', { headers: basic('bob', 'Grüße:1') }))).toBe('problem protected')
    const plan = (await gate.ask('/', { headers: basic('ann', 'Grüße:1') })) as ForwardPlan
    expect(plan).toMatchObject({ kind: 'forward', requestHeaders: { remove: ['authorization'] } })
    const route = gate.table.find('app.test')
    // Remembered: no promise.
    expect(route && gate.gate.admit(route, factsOf('/', { headers: basic('ann', 'Grüße:1') }))).not.toBeInstanceOf(Promise)
  })

  test('cannot be guessed at length', async () => {
    const gate = gateFor({ protection: { kind: 'basic', users: [] } }, {}, { options: { now: () => 0 } })
    const answers = []
    for (let i = 0; i < 25; i += 1) answers.push(brief(await gate.ask('/', { headers: basic('a', String(i)) })))
    expect(answers.filter((answer) => answer === 'problem protected')).toHaveLength(20)
    expect(answers.at(-1)).toBe('problem rate-limited')
    expect(brief(await gate.ask('/', { headers: basic('a', 'b'), clientIp: '198.51.100.1' }))).toBe('problem protected')
  }, 20_000)

  test('that is right costs no try, however many requests and visitors bring it at once', async () => {
    const users = await Promise.all(Array.from({ length: 24 }, async (_, i) => ({ name: `u${i}`, hash: await hashPassword('12345678') })))
    const gate = gateFor({ protection: { kind: 'basic', users } }, {}, { options: { now: () => 0 } })
    const page = await Promise.all(Array.from({ length: 40 }, () => gate.ask('/', { headers: basic('u0', '12345678') })))
    expect(new Set(page.map(brief))).toEqual(new Set(['forward as it is']))
    for (const { name } of users) expect(brief(await gate.ask('/', { headers: basic(name, '12345678') })), name).toBe('forward as it is')
  }, 20_000)

  test('that is tried many times at once is no more often tried in the long run', async () => {
    let now = 0
    const gate = gateFor({ protection: { kind: 'basic', users: [] } }, {}, { options: { now: () => now } })
    let tried = 0
    for (let round = 0; round < 4; round += 1) {
      const answers = await Promise.all(Array.from({ length: 18 }, (_, i) => gate.ask('/', { headers: basic('a', `${round} ${i}`) })))
      tried += answers.filter((answer) => brief(answer) === 'problem protected').length
      now += 3_001
    }
    expect(tried).toBeLessThanOrEqual(36)
  }, 20_000)

  test('of one project is not kept waiting by all that another one is asked to look at', async () => {
    const users = [{ name: 'ann', hash: await hashPassword('12345678') }]
    const [crowded, calm] = [gateFor({ protection: { kind: 'basic', users: [] } }), gateFor({ protection: { kind: 'basic', users } })]
    const order: string[] = []
    const crowd = Array.from({ length: 18 }, (_, i) =>
      crowded.ask('/', { headers: basic('a', String(i)), clientIp: `198.51.100.${i}` }).then(() => order.push('crowded')),
    )
    const one = calm.ask('/', { headers: basic('ann', '12345678') }).then(() => order.push('calm'))
    await Promise.all([...crowd, one])
    expect(order.indexOf('calm')).toBeLessThan(8)
  }, 20_000)

  test('keeps what it guards out of shared caches', async () => {
    const page: LocalAnswer = {
      status: 200,
      headers: [['Cache-Control', 'public, max-age=0']],
      body: null,
      head: Buffer.from('x'),
      cache: 'static',
      why: null,
    }
    const content = { find: () => page, fallback: () => null, page: () => null }
    const protection = { kind: 'basic' as const, users: [{ name: 'ann', hash: await hashPassword('12345678') }] }
    const site = { targets: [], content: { digest: 'd', directory: '/x', spa: false } }
    const gate = gateFor({ protection }, site, { options: { content } })
    const shown = await gate.ask('/', { headers: basic('ann', '12345678') })
    expect(shown).toMatchObject({ answer: { headers: [['Cache-Control', 'private, max-age=0']] } })
    expect(shown.kind === 'answer' && shown.answer.head).toBeUndefined()
    expect(await gateFor({}, site, { options: { content } }).ask('/')).toMatchObject({ answer: { headers: page.headers } })
  })

  test('is verified a few at a time, and every one gets its answer', async () => {
    const gate = gateFor({ protection: { kind: 'basic', users: [{ name: 'ann', hash: await hashPassword('12345678') }] } })
    const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => gate.ask('/', { headers: basic('ann', i % 2 ? '12345678' : `no ${i}`) })))
    expect(answers.map(brief)).toEqual(answers.map((_, i) => (i % 2 ? 'forward as it is' : 'problem protected')))
    const crowd = await Promise.all(
      Array.from({ length: 40 }, (_, i) => gate.ask('/', { headers: basic('ann', `no ${i}`), clientIp: `198.51.100.${i}` })),
    )
    expect(new Set(crowd.map(brief))).toEqual(new Set(['problem protected', 'problem rate-limited']))
    expect(brief(await gate.ask('/', { headers: basic('ann', 'again'), clientIp: '192.0.2.99' }))).toBe('problem protected')
  }, 20_000)

  test('is asked for over HTTPS only, where there is HTTPS', async () => {
    const gate = gateFor({ protection: { kind: 'basic', users: [] } }, { httpsOnly: true }, { table: { httpsPort: 443 } })
    expect(brief(await gate.ask('/'))).toBe('308 https://app.test/')
  })
})

describe('a token', () => {
  const protection = { kind: 'token' as const, digests: [digestToken('secret-token')] }

  test('in the address becomes a cookie, and leaves the address', async () => {
    const gate = gateFor({ protection })
    const admission = await gate.ask('/a?x=1&switchyard_token=secret-token&y=2', { scheme: 'https' })
    expect(brief(admission)).toBe('303 /a?x=1&y=2')
    const cookie = admission.kind === 'answer' ? headerOf(admission.answer.headers, 'set-cookie') : ''
    expect(cookie).toMatch(/^switchyard_access=secret-token; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax; Secure$/)
    expect(brief(await gate.ask('//evil.test?switchyard_token=secret-token'))).toBe('303 /evil.test')
    expect(brief(await gate.ask('/?a=1&switchyard%5ftoken=secret-token'))).toBe('303 /?a=1')
  })

  test('in a cookie or a header lets in, and is kept from the app', async () => {
    const gate = gateFor({ protection })
    expect(await gate.ask('/', { headers: { cookie: 'a=b; switchyard_access=secret-token; c=d' } })).toMatchObject({
      requestHeaders: { set: [['cookie', 'a=b; c=d']] },
    })
    expect(await gate.ask('/', { headers: { cookie: 'switchyard_access=secret-token' } })).toMatchObject({ requestHeaders: { remove: ['cookie'] } })
    expect(await gate.ask('/', { headers: { cookie: 'switchyard_access =secret-token' } })).toMatchObject({ requestHeaders: { remove: ['cookie'] } })
    expect(await gate.ask('/', { headers: { authorization: 'Bearer secret-token' } })).toMatchObject({
      requestHeaders: { remove: ['authorization'] },
    })
    for (const headers of [{}, { cookie: 'switchyard_access=wrong' }, { authorization: 'Bearer wrong' }, { authorization: 'Bearer ' }])
      expect(brief(await gate.ask('/', { headers: headers as Record<string, string> }))).toBe('problem protected')
    expect(brief(await gate.ask('/?switchyard_token=wrong'))).toBe('problem protected')
  })

  describe('of a share link', () => {
    afterEach(() => vi.useRealTimers())
    const expiresAt = Date.parse('2027-01-01T00:00:00Z')
    const links = [{ digest: digestToken('shared-token'), expiresAt }]
    const cookie = { cookie: 'switchyard_access=shared-token' }
    const bearer = { authorization: 'Bearer shared-token' }

    test('opens until it expires, and no longer: in the address, a cookie or a header, without a new route table', async () => {
      const gate = gateFor({ protection: { kind: 'token', digests: [], links } })
      vi.useFakeTimers({ toFake: ['Date'], now: expiresAt - 90_500 })
      const entered = await gate.ask('/a?switchyard_token=shared-token')
      expect(brief(entered)).toBe('303 /a')
      // The cookie ends with the link.
      expect(entered.kind === 'answer' ? headerOf(entered.answer.headers, 'set-cookie') : '').toContain('Max-Age=91;')
      for (const headers of [cookie, bearer]) expect(await gate.ask('/', { headers })).toMatchObject({ kind: 'forward' })
      expect(brief(await gate.ask('/'))).toBe('problem protected')
      vi.setSystemTime(expiresAt)
      for (const headers of [cookie, bearer]) expect(brief(await gate.ask('/', { headers }))).toBe('problem protected')
      expect(brief(await gate.ask('/a?switchyard_token=shared-token'))).toBe('problem protected')
    })

    test('opens what a password protects, too, and an expired one leaves the question for the password', async () => {
      const gate = gateFor({ protection: { kind: 'basic', users: [{ name: 'ann', hash: await hashPassword('12345678') }], links } })
      vi.useFakeTimers({ toFake: ['Date'], now: expiresAt - 1 })
      expect(brief(await gate.ask('/?switchyard_token=shared-token'))).toBe('303 /')
      vi.setSystemTime(expiresAt + 1)
      expect(await gate.ask('/?switchyard_token=shared-token')).toMatchObject({ problem: { kind: 'protected', with: 'password' } })
      expect(await gate.ask('/?switchyard_token=shared-token', { headers: basic('ann', '12345678') })).toMatchObject({ kind: 'forward' })
    })
  })
})

describe('rate limits', () => {
  const rateLimits = [{ source: '/api/(.*)', requests: 3, windowSeconds: 60 }]

  test('count per visitor and route, and say when to come again', async () => {
    let now = 0
    const gate = gateFor({ rateLimits }, {}, { options: { now: () => now } })
    const ask = async (path = '/api/x', clientIp = '203.0.113.1') => brief(await gate.ask(path, { clientIp }))
    const first = (await gate.ask('/api/x', { clientIp: '203.0.113.1' })) as ForwardPlan
    expect(first.responseHeaders?.set).toEqual([
      ['RateLimit-Limit', '3'],
      ['RateLimit-Remaining', '2'],
      ['RateLimit-Reset', '20'],
    ])
    expect([await ask(), await ask(), await ask()]).toEqual(['forward as it is', 'forward as it is', 'problem rate-limited'])
    expect(await gate.ask('/api/y', { clientIp: '203.0.113.1' })).toMatchObject({ problem: { retryAfterSeconds: 20, limit: 3 } })
    expect(await ask('/other')).toBe('forward as it is')
    expect(await ask('/api/x', '203.0.113.2')).toBe('forward as it is')
    now += 20_001
    expect([await ask(), await ask()]).toEqual(['forward as it is', 'problem rate-limited'])
  })

  test('count an IPv6 network of /64 as one visitor', async () => {
    const gate = gateFor({ rateLimits })
    const answers = []
    for (const clientIp of ['2001:db8:0:1::1', '2001:db8:0:1:ffff::2', '2001:0db8::1:0:0:0:3', '2001:db8:0:1::4', '2001:db8:0:2::1'])
      answers.push(brief(await gate.ask('/api/x', { clientIp })))
    expect(answers).toEqual([...Array(3).fill('forward as it is'), 'problem rate-limited', 'forward as it is'])
  })

  test('outlive a new table, when the policy is the same', async () => {
    const { gate, table, ask } = gateFor({ rateLimits })
    for (let i = 0; i < 3; i += 1) await ask('/api/x')
    const next = new HostTable({ ...tableOf([routeTo('app.test', [], { policy: 'q' })]), policies: { q: { ...defaultProjectRules, rateLimits } } })
    gate.apply(next)
    const route = next.find('app.test')
    expect(table.find('app.test')?.policy).not.toBe(route?.policy)
    expect(route && brief(await gate.admit(route, factsOf('/api/x')))).toBe('problem rate-limited')
  })
})

describe('error pages', () => {
  const problem = { kind: 'no-target', host: 'app.test', projectName: 'shop' } as const

  test('of the files are shown under the status of the problem', async () => {
    const page: LocalAnswer = {
      status: 200,
      headers: [
        ['Content-Type', 'text/html'],
        ['Content-Length', '4'],
        ['ETag', '"x"'],
        ['Cache-Control', 'public'],
      ],
      body: Buffer.from('oops'),
      head: Buffer.from('HTTP/1.1 200 OK\r\n'),
      cache: 'static',
      why: null,
    }
    const content = { find: () => null, fallback: () => null, page: (_: unknown, path: string) => (path === '/5xx.html' ? page : null) }
    const policy = { errorPages: { '5xx': '/5xx.html', '404': '/none.html' } }
    const { gate, table } = gateFor(policy, { content: { digest: 'd', directory: '/x', spa: false } }, { options: { content } })
    const route = table.find('app.test') ?? null
    const shown = await gate.problem(problem, route, factsOf('/', { headers: { accept: 'text/html' } }))
    expect(shown).toMatchObject({ status: 503, why: 'no-target', cache: 'none' })
    expect(String(shown.body)).toBe('oops')
    expect(shown.head).toBeUndefined()
    expect(Object.fromEntries(shown.headers)).toEqual({
      'Content-Type': 'text/html',
      'Content-Length': '4',
      'Cache-Control': 'no-store',
      'Retry-After': '5',
    })
    const json = await gate.problem(problem, route, factsOf('/', { headers: { accept: 'application/json' } }))
    expect(JSON.parse(String(json.body)).error.code).toBe('ERR_UNAVAILABLE')
    expect(String((await gate.problem({ kind: 'no-file', host: 'app.test' }, route, factsOf('/'))).body)).toContain('ERR_NOT_FOUND')
  })

  test.each([
    ['/sorry', '/sorry'],
    ['/so sorry', '/so%20sorry'],
    ['/č', '/%C4%8D'],
  ])('of the app (%s) are fetched while it answers and shown when it does not', async (named, path) => {
    const server = createServer((req, res) => res.setHeader('content-type', 'text/html').end(`sorry from ${req.url}`))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const { port } = server.address() as AddressInfo
    const targets = [{ instanceId: 'i', host: '127.0.0.1', port }]
    const { gate, table, ask } = gateFor({ errorPages: { '503': named } }, { targets })
    const route = table.find('app.test') ?? null
    const body = async () => String((await gate.problem(problem, route, factsOf('/'))).body)
    expect(await body()).toContain('ERR_UNAVAILABLE')
    await ask('/')
    await until('the page was fetched', async () => (await body()) === `sorry from ${path}`)
    gate.close()
  })
})
