import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { CheckId } from '@/shared/domains'
import { startTestDns, type TestDns } from '@/test/support/dns'
import type { ChallengeBoard } from '../../link/challenges'
import { parseDomainName } from '../hostname'
import { openDns } from './dns'
import { examine, judge } from './examine'
import { type FactSources, gatherFacts, type Subject } from './facts'

let dns: TestDns
let edge: Server
const offered = new Map<string, string>()
/** The edge router's part: what was offered is answered on every host. */
const board: ChallengeBoard = {
  async offerHttp(token, answer) {
    offered.set(token, answer)
    return async () => void offered.delete(token)
  },
  clean: async () => {},
  offerAlpn: () => Promise.reject(new Error('not part of this')),
}
const answerOffered: RequestListener = (request, response) => {
  const answer = offered.get(request.url?.split('/').at(-1) ?? '')
  response.writeHead(answer ? 200 : 404).end(answer ?? 'somebody else')
}
const listen = async (listener: RequestListener) => {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}
const portOf = (server: Server) => (server.address() as AddressInfo).port

beforeAll(async () => {
  dns = await startTestDns({ 'example.com': { NS: ['ns1.example.com'] } })
  edge = await listen(answerOffered)
})
afterAll(async () => {
  await dns.close()
  edge.close()
})
afterEach(() => {
  for (const name of ['shop.example.com', 'example.com', 'far.example.net', '*.example.com', '_switchyard.shop.example.com', 'com']) dns.remove(name)
  dns.set('example.com', { NS: ['ns1.example.com'] })
})

const subjectOf = (hostname: string, more: Partial<Subject> = {}): Subject => ({
  name: parseDomainName(hostname),
  projectHost: 'shop.apps.example.org',
  token: 'switchyard-claim=ours',
  rival: 'none',
  certificateMode: 'automatic',
  hasDnsProvider: false,
  ...more,
})

async function diagnose(hostname: string, more: Partial<Subject> = {}, sources: Partial<FactSources> = {}) {
  const all: FactSources = {
    dns: openDns({ servers: [dns.address], deadlineMs: 800 }),
    own: { addresses: ['127.0.0.1'], origin: 'configured', local: ['127.0.0.1'] },
    issuers: ['letsencrypt.org'],
    board,
    ports: { http: portOf(edge), https: null },
    visitDeadlineMs: 800,
    ...sources,
  }
  const checks = examine(await gatherFacts(subjectOf(hostname, more), all), all.ports)
  const of = (id: CheckId) => {
    const check = checks.find((one) => one.id === id)
    if (!check) throw new Error(`no check ${id}`)
    return check
  }
  return { checks, of, verdict: judge(checks) }
}

describe('the doctor', () => {
  it('is content with a domain that leads here, and lets a CA be asked', async () => {
    dns.set('shop.example.com', { A: ['127.0.0.1'] })
    const { checks, verdict } = await diagnose('shop.example.com')
    expect(checks.filter((check) => check.state !== 'ok')).toEqual([])
    expect(verdict).toEqual({ traffic: 'yes', certificate: true, problem: null })
  })

  it('names the exact record where there is none: a CNAME for a subdomain, addresses for an apex', async () => {
    const missing = await diagnose('shop.example.com')
    expect(missing.of('address')).toMatchObject({
      state: 'fail',
      set: [{ type: 'CNAME', name: 'shop.example.com', host: 'shop', value: 'shop.apps.example.org' }],
    })
    expect(missing.verdict).toMatchObject({ traffic: 'no', certificate: false, problem: { code: 'ERR_DOMAIN', step: 'Address records' } })
    expect((await diagnose('example.com')).of('address').set).toMatchObject([{ type: 'A', host: '@', value: '127.0.0.1' }])
  })

  it('tells a zone that does not exist from one whose servers fail and one that is silent', async () => {
    dns.remove('example.com')
    expect((await diagnose('shop.example.com')).of('zone')).toMatchObject({ state: 'fail', cause: expect.stringContaining('NXDOMAIN') })
    dns.set('example.com', 'SERVFAIL')
    dns.set('shop.example.com', 'SERVFAIL')
    expect((await diagnose('shop.example.com')).of('zone')).toMatchObject({ state: 'fail', cause: expect.stringContaining('SERVFAIL') })
    dns.set('example.com', 'silence')
    dns.set('shop.example.com', 'silence')
    const silent = await diagnose('shop.example.com')
    expect(silent.of('zone')).toMatchObject({ state: 'unknown', cause: expect.stringContaining('in time') })
    expect(silent.verdict.traffic).toBe('unknown')
  })

  it('a wrong AAAA fails a good A', async () => {
    dns.set('shop.example.com', { A: ['127.0.0.1'], AAAA: ['2001:db8::bad'] })
    const { of, verdict } = await diagnose('shop.example.com')
    expect(of('address').state).toBe('ok')
    expect(of('ipv6')).toMatchObject({ state: 'fail', remove: [{ type: 'AAAA', value: '2001:db8::bad' }] })
    expect(verdict).toMatchObject({ traffic: 'no', certificate: false })
  })

  it('says which of several addresses leads elsewhere, and where an alias leads', async () => {
    dns.set('shop.example.com', { A: ['127.0.0.1', '203.0.113.9'] })
    expect((await diagnose('shop.example.com')).of('address')).toMatchObject({ state: 'fail', remove: [{ value: '203.0.113.9' }] })
    dns.set('shop.example.com', { CNAME: ['far.example.net'] })
    dns.set('far.example.net', { A: ['203.0.113.9'] })
    const { of } = await diagnose('shop.example.com')
    expect(of('address').cause).toContain('far.example.net')
    expect(of('address').remove).toMatchObject([{ type: 'CNAME', value: 'far.example.net' }])
  })

  it('climbs to the CAA record that counts, and adds the one that is missing', async () => {
    dns.set('example.com', { NS: ['ns1.example.com'], CAA: ['0 issue "other-ca.example"'] })
    dns.set('shop.example.com', { A: ['127.0.0.1'] })
    const refused = await diagnose('shop.example.com')
    expect(refused.of('caa')).toMatchObject({
      state: 'fail',
      blocks: 'certificate',
      set: [{ type: 'CAA', name: 'example.com', host: '@', value: '0 issue "letsencrypt.org"' }],
    })
    expect(refused.verdict).toMatchObject({ traffic: 'yes', certificate: false })
    dns.set('shop.example.com', { A: ['127.0.0.1'], CAA: ['0 issue "letsencrypt.org; validationmethods=http-01"'] })
    expect((await diagnose('shop.example.com')).of('caa').state).toBe('ok')
    dns.set('shop.example.com', { A: ['127.0.0.1'], CAA: ['0 issue "letsencrypt.org; validationmethods=email"'] })
    expect((await diagnose('shop.example.com')).of('caa').state).toBe('fail')
    dns.set('shop.example.com', { A: ['127.0.0.1'] })
    dns.fault('example.com', 'CAA', 'SERVFAIL')
    expect((await diagnose('shop.example.com')).of('caa')).toMatchObject({ state: 'fail', blocks: 'certificate' })
    dns.fault('example.com', 'CAA', null)
  })

  it('issuewild decides for a wildcard, which needs a DNS provider', async () => {
    dns.set('example.com', { NS: ['ns1.example.com'], CAA: ['0 issue "other-ca.example"', '0 issuewild "letsencrypt.org"'] })
    dns.set('*.example.com', { A: ['127.0.0.1'] })
    const { of, verdict } = await diagnose('*.example.com')
    expect(of('caa').state).toBe('ok')
    expect(of('method')).toMatchObject({ state: 'fail', blocks: 'certificate' })
    expect(verdict).toMatchObject({ traffic: 'yes', certificate: false })
    expect((await diagnose('*.example.com', { hasDnsProvider: true })).verdict.certificate).toBe(true)
  })

  it('a rival claim is answered by the TXT record of this team, and by no other', async () => {
    dns.set('shop.example.com', { A: ['127.0.0.1'] })
    dns.set('_switchyard.shop.example.com', { TXT: ['switchyard-claim=theirs'] })
    const rival = { rival: 'related' } as const
    const refused = await diagnose('shop.example.com', rival)
    expect(refused.of('claim')).toMatchObject({ state: 'fail', set: [{ type: 'TXT', host: '_switchyard.shop', value: 'switchyard-claim=ours' }] })
    expect(refused.verdict.traffic).toBe('no')
    dns.set('_switchyard.shop.example.com', { TXT: ['switchyard-claim=theirs', 'switchyard-claim=ours'] })
    expect((await diagnose('shop.example.com', rival)).verdict.traffic).toBe('yes')
  })

  it('explains a proxy by name when nothing comes through it', async () => {
    dns.set('shop.example.com', { A: ['104.16.1.1'] })
    // Nothing leaves this machine: the visit is answered by nobody.
    const { of, verdict } = await diagnose('shop.example.com', {}, { visitDeadlineMs: 50 })
    expect(of('proxy')).toMatchObject({ state: 'fail', cause: expect.stringContaining('Cloudflare'), fix: expect.stringContaining('grey') })
    expect(verdict.traffic).toBe('no')
  })

  it('tells a closed port, and another server that answers, from our own', async () => {
    dns.set('shop.example.com', { A: ['127.0.0.1'] })
    const other = await listen((_, response) => void response.writeHead(301, { location: 'http://169.254.169.254/' }).end())
    const taken = await diagnose('shop.example.com', {}, { ports: { http: portOf(other), https: null } })
    expect(taken.of('http')).toMatchObject({ state: 'fail', cause: expect.stringContaining('301') })
    const port = portOf(other)
    await new Promise((resolve) => other.close(resolve))
    const closed = await diagnose('shop.example.com', {}, { ports: { http: port, https: port } })
    expect(closed.of('http')).toMatchObject({ state: 'fail', cause: expect.stringContaining('refuses') })
    expect(closed.of('https')).toMatchObject({ state: 'fail', blocks: 'certificate' })
    expect(closed.verdict).toMatchObject({ traffic: 'yes', certificate: false })
  })

  it('visits no private address that is not this server’s', async () => {
    dns.set('shop.example.com', { A: ['127.0.0.1', '169.254.169.254', '10.0.0.5'] })
    const own = { addresses: ['203.0.113.7'], origin: 'configured', local: [] } as const
    const { of } = await diagnose('shop.example.com', {}, { own: { ...own, addresses: ['203.0.113.7'], local: [] } })
    expect(of('http')).toMatchObject({ state: 'fail', cause: expect.stringContaining('private or reserved network') })
    expect(offered.size).toBe(0)
  })

  it('asks the servers in charge of the zone, so that a cache does not hide a change', async () => {
    const authority = await startTestDns({ 'shop.example.com': { A: ['127.0.0.1'] } })
    dns.set('ns1.example.com', { A: ['127.0.0.1'] })
    dns.set('shop.example.com', { A: ['203.0.113.9'] })
    const session = openDns({ servers: [dns.address], deadlineMs: 800, authorityPort: authority.port })
    expect(await session.ask('shop.example.com', 'A')).toEqual({ kind: 'found', values: ['127.0.0.1'] })
    await authority.close()
    // Where they cannot be reached, the resolver's word is better than none.
    expect(await openDns({ servers: [dns.address], deadlineMs: 800, authorityPort: authority.port }).ask('shop.example.com', 'A')).toMatchObject({
      values: ['203.0.113.9'],
    })
    dns.remove('ns1.example.com')
  })
})
