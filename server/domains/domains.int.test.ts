import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { domainInput } from '@/shared/domains'
import { newId } from '@/shared/node/ids'
import { projectInput } from '@/shared/views'
import { createTestApi, type TestApi } from '@/test/support/api'
import { startTestDns, type TestDns } from '@/test/support/dns'
import type { Actor } from '../actor'
import { createDomainChecks, nextState } from './checks'
import { openDns } from './doctor/dns'
import { startDomainRounds } from './rounds'

let dns: TestDns
let api: TestApi
let ours: Actor
let theirs: Actor
let shop: string
let blog: string
let rival: string

beforeAll(async () => {
  dns = await startTestDns()
  api = await createTestApi(null, { dnsServers: [dns.address] })
  ours = await api.actorOf(api.boot.teamId, 'admin')
  theirs = await api.actorOf(await api.addTeam('other'), 'admin')
  const project = async (actor: Actor, name: string) => (await api.platform.projects.create(actor, projectInput.parse({ name }))).id
  shop = await project(ours, 'shop')
  blog = await project(ours, 'blog')
  rival = await project(theirs, 'rival')
})
afterAll(async () => {
  await api.close()
  await dns.close()
})

const add = (actor: Actor, project: string, hostname: string, more: object = {}) =>
  api.platform.domains.add(actor, project, domainInput.parse({ hostname, ...more }))
/** Kinds and payloads of what was written to the outbox about a domain, oldest first. */
async function eventsOf(domainId: string): Promise<[string, unknown][]> {
  const rows = await api.database.prisma.event.findMany({ where: { payload: { path: ['domainId'], equals: domainId } }, orderBy: { id: 'asc' } })
  return rows.map(({ kind, payload }) => [kind, payload])
}
const setState = (hostname: string, state: 'verified' | 'unverified') => api.database.prisma.domain.update({ where: { hostname }, data: { state } })

describe('adding a domain', () => {
  it('records it unverified, in production, with the records to set, and audits it', async () => {
    const domain = await add(ours, shop, 'https://WWW.Shop-One.example/')
    expect(domain).toMatchObject({ hostname: 'www.shop-one.example', state: 'unverified', environment: 'production', kind: 'subdomain', checks: [] })
    expect(domain.records).toMatchObject([
      { type: 'A', host: 'www', value: '203.0.113.7' },
      { type: 'AAAA', host: 'www', value: '2001:db8::7' },
    ])
    expect(await api.database.prisma.auditEntry.findFirst({ where: { subject: domain.id } })).toMatchObject({
      action: 'domain.added',
      actorId: ours.id,
    })
    expect(await eventsOf(domain.id)).toEqual([['domain.added', { domainId: domain.id, hostname: 'www.shop-one.example' }]])
  })

  it('refuses the platform’s own names, and names this team uses elsewhere', async () => {
    for (const own of ['shop.localhost', 'dashboard.example.net'])
      await expect(add(ours, shop, own)).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT', message: expect.stringContaining('installation itself') })
    await add(ours, shop, 'twice.example')
    await expect(add(ours, blog, 'TWICE.example.')).rejects.toMatchObject({ code: 'ERR_CONFLICT', message: expect.stringContaining('shop') })
    await expect(add(ours, shop, 'x.example', { environment: 'nope' })).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
  })

  it('of another team needs its TXT record, and then hands it over', async () => {
    const first = await add(theirs, rival, 'contested.example')
    await setState('contested.example', 'verified')
    const preview = await api.platform.domains.preview(ours, shop, 'contested.example')
    expect(preview.claim).toMatchObject({ type: 'TXT', name: '_switchyard.contested.example' })
    const refused = expect(add(ours, shop, 'contested.example')).rejects
    await refused.toMatchObject({ code: 'ERR_CONFLICT', details: { nextAction: expect.stringContaining(preview.claim?.value ?? 'none') } })
    // The other team's own token does not help us.
    dns.set('_switchyard.contested.example', { TXT: [(await api.database.prisma.domain.findUniqueOrThrow({ where: { id: first.id } })).token] })
    await expect(add(ours, shop, 'contested.example')).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
    dns.set('_switchyard.contested.example', { TXT: ['other', preview.claim?.value ?? ''] })
    const told: (string | undefined)[] = []
    const stop = new AbortController()
    const listening = (async () => {
      for await (const change of api.bus.listen((one) => one.teamId === theirs.teamId, stop.signal)) told.push(change?.id)
    })()
    expect(await add(ours, shop, 'contested.example')).toMatchObject({ state: 'unverified' })
    await expect.poll(() => told, { timeout: 5_000 }).toContain(first.id)
    stop.abort()
    await listening
    await expect(api.platform.domains.get(theirs, 'contested.example')).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
    expect(
      await api.database.prisma.auditEntry.findFirst({ where: { teamId: theirs.teamId, subject: first.id, action: 'domain.lost' } }),
    ).toBeTruthy()
    const lost = { domainId: first.id, hostname: 'contested.example', reason: 'claimed_by_another_team' }
    expect((await eventsOf(first.id)).at(-1)).toEqual(['domain.removed', lost])
  })

  it('below a name another team has verified asks for proof, and below one it only typed does not', async () => {
    await add(theirs, rival, '*.estate.example')
    expect((await api.platform.domains.preview(ours, shop, 'new.estate.example')).claim).toBeNull()
    await setState('*.estate.example', 'verified')
    expect((await api.platform.domains.preview(ours, shop, 'new.estate.example')).claim).toMatchObject({ name: '_switchyard.new.estate.example' })
    expect((await api.platform.domains.preview(ours, shop, 'notestate.example')).claim).toBeNull()
  })
})

describe('two at once', () => {
  it('do not add more domains than a project, or a team, may have', async () => {
    const { prisma } = api.database
    const actor = await api.actorOf(await api.addTeam(`many-${newId()}`), 'admin')
    const { id: projectId } = await api.platform.projects.create(actor, projectInput.parse({ name: 'many' }))
    const { id: environmentId } = await prisma.environment.findFirstOrThrow({ where: { projectId, kind: 'PRODUCTION' } })
    const rows = (count: number, tag: string, owner: { projectId: string; environmentId: string }) =>
      prisma.domain.createMany({
        data: Array.from({ length: count }, (_, i) => ({
          id: newId(),
          teamId: actor.teamId,
          ...owner,
          hostname: `${tag}${i}.many.example`,
          token: '',
        })),
      })
    await rows(998, 'p', { projectId, environmentId })
    const outcomes = await Promise.allSettled([0, 1, 2, 3].map((i) => add(actor, projectId, `last${i}.many.example`)))
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected'])
    await expect(add(actor, projectId, 'one-more.example')).rejects.toMatchObject({ message: expect.stringContaining('at most 1000') })
    // Of other projects of the team, as far as the count goes.
    await rows(9_000, 't', { projectId: newId(), environmentId })
    const { id: other } = await api.platform.projects.create(actor, projectInput.parse({ name: 'other' }))
    await expect(add(actor, other, 'far-more.example')).rejects.toMatchObject({ message: expect.stringContaining('at most 10000') })
  })

  it('whose names of one domain pass their checks at the same moment: one is first, the other has to prove its claim', async () => {
    const { prisma } = api.database
    await prisma.domain.updateMany({ data: { nextCheckAt: null } })
    const [a, b] = [await add(ours, shop, 'a.race.example'), await add(theirs, rival, 'b.race.example')]
    dns.set('race.example', { NS: ['ns.race.example'] })
    for (const name of ['a.race.example', 'b.race.example']) dns.set(name, { A: ['203.0.113.7'] })
    let waiting = 0
    let go = () => {}
    const both = new Promise<void>((resolve) => {
      go = resolve
    })
    const session = (): ReturnType<typeof openDns> => {
      const real = openDns({ servers: [dns.address], deadlineMs: 800 })
      // Both have looked for rivals by the time either is judged.
      const ask: typeof real.ask = async (name, type) => {
        if (type === 'A' && ++waiting === 2) go()
        if (type === 'A') await Promise.race([both, new Promise((resolve) => setTimeout(resolve, 3_000))])
        return real.ask(name, type)
      }
      return { ...real, ask }
    }
    const sources = async () => ({
      dns: session(),
      own: { addresses: ['203.0.113.7'], origin: 'configured' as const, local: [] },
      issuers: [],
      board: null,
      ports: { http: 80, https: null },
    })
    const checks = createDomainChecks({
      prisma,
      bus: api.bus,
      logger: { warn: () => {} },
      baseDomain: 'localhost',
      sources,
      onRouted: async () => {},
    })
    await Promise.all([checks.check(a.id), checks.check(b.id)])
    const states = async () => (await prisma.domain.findMany({ where: { id: { in: [a.id, b.id] } } })).map((one) => one.state).sort()
    expect(await states()).toEqual(['unverified', 'verified'])
    await Promise.all([checks.check(a.id), checks.check(b.id)])
    expect(await states()).toEqual(['unverified', 'verified'])
    const second = await prisma.domain.findFirstOrThrow({ where: { id: { in: [a.id, b.id] }, state: 'unverified' } })
    expect(second.problem).toMatchObject({ step: 'Ownership', nextAction: expect.stringContaining('TXT') })
  })
})

it('a domain is found, and its removal confirmed, by the name as people write it', async () => {
  const { id } = await add(ours, blog, 'Bücher.example')
  expect(await api.platform.domains.get(ours, 'bücher.example.')).toMatchObject({ id, hostname: 'xn--bcher-kva.example' })
  expect(await api.platform.domains.get(ours, 'XN--Bcher-kva.example')).toMatchObject({ id })
  await api.platform.domains.remove(ours, 'BÜCHER.example', 'Bücher.example')
  expect((await eventsOf(id)).at(-1)).toEqual(['domain.removed', { domainId: id, hostname: 'xn--bcher-kva.example', reason: 'removed' }])
})

describe('a redirect', () => {
  it('leads to another domain of the project: no chain, no circle, none to itself', async () => {
    await add(ours, shop, 'apex.example')
    const www = await add(ours, shop, 'www.apex.example', { redirectTo: 'apex.example' })
    expect(www.redirectTo).toBe('apex.example')
    const update = (domain: string, redirectTo: string | null) => api.platform.domains.update(ours, domain, { redirectTo })
    for (const [domain, target] of [
      ['apex.example', 'www.apex.example'],
      ['apex.example', 'apex.example'],
      ['apex.example', 'elsewhere.example'],
      ['apex.example', 'twice.example'],
    ] as const)
      await expect(update(domain, target)).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
    expect(await update('www.apex.example', null)).toMatchObject({ redirectTo: null })
    expect(await update('apex.example', 'WWW.apex.example')).toMatchObject({ redirectTo: 'www.apex.example' })
  })

  it('makes no circle when two people change both ends at once', async () => {
    for (let i = 0; i < 10; i++) {
      const [a, b] = [`a${i}.circle.example`, `b${i}.circle.example`]
      await add(ours, shop, a)
      await add(ours, shop, b)
      const outcomes = await Promise.allSettled([
        api.platform.domains.update(ours, a, { redirectTo: b }),
        api.platform.domains.update(ours, b, { redirectTo: a }),
      ])
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    }
  })

  it('makes no chain when its target begins to redirect while it is added', async () => {
    for (let i = 0; i < 10; i++) {
      const [a, b, c] = [`a${i}.chain.example`, `b${i}.chain.example`, `c${i}.chain.example`]
      await add(ours, shop, b)
      await add(ours, shop, c)
      const outcomes = await Promise.allSettled([add(ours, shop, a, { redirectTo: b }), api.platform.domains.update(ours, b, { redirectTo: c })])
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    }
  })

  it('ends with its target; removing asks for the name', async () => {
    await add(ours, blog, 'old.example')
    await add(ours, blog, 'new.example', { redirectTo: 'old.example' })
    await expect(api.platform.domains.remove(ours, 'old.example', 'old')).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
    await api.platform.domains.remove(ours, 'old.example', 'old.example')
    expect(await api.platform.domains.get(ours, 'new.example')).toMatchObject({ redirectTo: null })
    await expect(api.platform.domains.get(ours, 'old.example')).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
  })
})

it('a name that has become a public suffix since it was added is still listed, and can be removed', async () => {
  const { id } = await add(ours, blog, 'suffix-to-be.example')
  await api.database.prisma.domain.update({ where: { id }, data: { hostname: 'github.io' } })
  expect((await api.platform.domains.list(ours, blog, {}, { limit: 100 })).items.map((one) => one.hostname)).toContain('github.io')
  await api.platform.domains.remove(ours, id, 'github.io')
})

it('a team with many domains to examine delays its own, not those of others', async () => {
  const { prisma } = api.database
  await prisma.domain.updateMany({ data: { nextCheckAt: null } })
  const many = await Promise.all(Array.from({ length: 12 }, (_, i) => add(ours, shop, `slow${i}.fair.example`)))
  const { id } = await add(theirs, rival, 'one.unfair.example')
  await prisma.domain.updateMany({ where: { id: { in: many.map((one) => one.id) } }, data: { nextCheckAt: new Date(Date.now() - 60_000) } })
  const seen: string[] = []
  const checks = { check: async (domainId: string) => void seen.push(domainId) }
  const rounds = startDomainRounds({ prisma, bus: api.bus, checks, logger: { warn: () => {} } })
  await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(13)
  await rounds.stop()
  expect(seen.slice(0, 4)).toContain(id)
  expect(new Set(seen).size).toBe(13)
})

describe('a domain in time', () => {
  it('that is changed while it is examined is looked at again at once: the examination does not put that off', async () => {
    const { prisma } = api.database
    const { id } = await add(ours, shop, `changed-${newId()}.example`)
    await prisma.domain.updateMany({ data: { nextCheckAt: null } })
    let examine = () => {}
    const held = new Promise<void>((resolve) => {
      examine = resolve
    })
    let began = () => {}
    const begun = new Promise<void>((resolve) => {
      began = resolve
    })
    const checks = createDomainChecks({
      prisma,
      bus: api.bus,
      logger: { warn: () => {} },
      baseDomain: 'localhost',
      sources: async () => {
        began()
        await held
        return {
          dns: openDns({ servers: [dns.address], deadlineMs: 800 }),
          own: { addresses: ['203.0.113.7'], origin: 'configured' as const, local: [] },
          issuers: [],
          board: null,
          ports: { http: 80, https: null },
        }
      },
      onRouted: async () => {},
    })
    const checked = checks.check(id)
    await begun
    await api.platform.domains.update(ours, id, { certificateMode: 'off' })
    examine()
    await checked
    const row = await prisma.domain.findUniqueOrThrow({ where: { id } })
    expect(row.checkedAt).not.toBeNull()
    expect(row.nextCheckAt?.getTime()).toBeLessThanOrEqual(Date.now())
  })

  it('is verified by what is found, stays so while nothing can be found out, and is misconfigured when it leads elsewhere', () => {
    expect(nextState('unverified', { traffic: 'no' })).toBe('unverified')
    expect(nextState('unverified', { traffic: 'unknown' })).toBe('unverified')
    expect(nextState('unverified', { traffic: 'yes' })).toBe('verified')
    expect(nextState('verified', { traffic: 'unknown' })).toBe('verified')
    expect(nextState('verified', { traffic: 'no' })).toBe('misconfigured')
    expect(nextState('misconfigured', { traffic: 'unknown' })).toBe('misconfigured')
    expect(nextState('misconfigured', { traffic: 'yes' })).toBe('verified')
  })

  it('is examined when added, soon again while somebody looks, and routed and ready for a CA once its DNS is right', async () => {
    const { prisma } = api.database
    await prisma.domain.updateMany({ data: { nextCheckAt: null } })
    const seen = { routed: 0, ready: [] as string[] }
    const checks = createDomainChecks({
      prisma,
      bus: api.bus,
      logger: { warn: () => {} },
      baseDomain: 'localhost',
      sources: async () => ({
        dns: openDns({ servers: [dns.address], deadlineMs: 800 }),
        own: { addresses: ['203.0.113.7'], origin: 'configured', local: [] },
        issuers: [],
        board: null,
        ports: { http: 80, https: null },
      }),
      onRouted: async () => void seen.routed++,
      onReady: (id) => seen.ready.push(id),
    })
    const rounds = startDomainRounds({ prisma, bus: api.bus, checks, logger: { warn: () => {} } })
    try {
      const { id } = await add(ours, shop, `timed-${newId()}.example`)
      const read = () => prisma.domain.findUniqueOrThrow({ where: { id } })
      await expect.poll(async () => (await read()).checkedAt, { timeout: 10_000 }).not.toBeNull()
      const first = await read()
      expect(first).toMatchObject({ state: 'unverified', problem: { code: 'ERR_DOMAIN' } })
      expect((await checks.precheck(id)).ready).toBe(false)
      const wait = (first.nextCheckAt?.getTime() ?? 0) - Date.now()
      expect(wait).toBeGreaterThan(5_000)
      await api.platform.domains.get(ours, id)
      expect((await read()).nextCheckAt?.getTime()).toBeLessThan(first.nextCheckAt?.getTime() ?? 0)
      dns.set(first.hostname, { A: ['203.0.113.7'] })
      await api.platform.domains.check(ours, id)
      await expect.poll(async () => (await read()).state, { timeout: 10_000 }).toBe('verified')
      expect(seen.routed).toBe(1)
      // The failed examination before changed no state and has no event.
      expect(await eventsOf(id)).toEqual(['domain.added', 'domain.verified'].map((kind) => [kind, { domainId: id, hostname: first.hostname }]))
    } finally {
      await rounds.stop()
    }
  })
})
