import { encode } from 'next-auth/jwt'
import superjson from 'superjson'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { domainInput } from '@/shared/domains'
import { newId } from '@/shared/node/ids'
import { projectInput } from '@/shared/views'
import { createTestApi, type TestApi } from '@/test/support/api'
import { type Role, requiredRole } from '../teams/policy'
import { catalogue } from './rest/catalogue'
import { handleRest } from './rest/handler'
import { appRouter } from './router'
import type { ProcedureMeta } from './trpc'
import { handleTrpc } from './trpc-handler'

/**
 * Every endpoint × everybody who may come. A new procedure or route without a row here fails; so does one that answers the wrong person.
 * Statuses in the order of `people`; 503 is an engine that is not part of this test, asked by somebody who may.
 */
const people = ['anonymous', 'other team', 'member', 'admin', 'owner'] as const
type Person = (typeof people)[number]
type Statuses = readonly [number, number, number, number, number]

/** What a row works on: made anew for each cell, in our team. */
interface Fixture {
  projectId: string
  slug: string
  deploymentId: string
  instanceId: string
  apiKeyId: string
  domain: string
  /** Automatic; uploaded. */
  certificateId: string
  uploadedId: string
  dnsProviderId: string
}
type Row = { statuses: Statuses; input?: (f: Fixture) => unknown; path?: (f: Fixture) => string; body?: (f: Fixture) => unknown }

const everyone: Statuses = [200, 200, 200, 200, 200]
/** Lists of one's own team. */
const own: Statuses = [401, 200, 200, 200, 200]
const ourMembers: Statuses = [401, 404, 200, 200, 200]
const ourAdmins: Statuses = [401, 404, 403, 200, 200]
const created = (statuses: Statuses): Statuses => statuses.map((status) => (status === 200 ? 201 : status)) as unknown as Statuses
const emptied = (statuses: Statuses): Statuses => statuses.map((status) => (status === 200 ? 204 : status)) as unknown as Statuses
const unavailable = (statuses: Statuses): Statuses => statuses.map((status) => (status === 200 ? 503 : status)) as unknown as Statuses

const cloudflare = { kind: 'cloudflare', apiToken: 'a token of this test' }

const trpcRows: Record<string, Row> = {
  'setup.status': { statuses: everyone },
  'setup.createAccount': { statuses: [409, 409, 409, 409, 409], input: () => ({ code: 'AAAA', email: 'x@y.zz', password: 'long enough' }) },
  'me.get': { statuses: own },
  'projects.list': { statuses: own },
  'projects.get': { statuses: ourMembers, input: (f) => ({ project: f.slug }) },
  'projects.create': { statuses: [401, 200, 403, 200, 200], input: () => ({ name: newId() }) },
  'projects.update': { statuses: ourAdmins, input: (f) => ({ projectId: f.projectId, patch: { buildCommand: 'make' } }) },
  'projects.remove': { statuses: ourAdmins, input: (f) => ({ projectId: f.projectId, confirmName: f.slug }) },
  'edgePolicy.get': { statuses: ourMembers, input: (f) => ({ project: f.slug }) },
  'edgePolicy.update': { statuses: ourAdmins, input: (f) => ({ project: f.projectId, patch: { cleanUrls: true } }) },
  'projects.inspect': { statuses: [401, 503, 403, 503, 503], input: () => ({ repository: 'https://example.org/x.git' }) },
  'projects.clearBuildCache': { statuses: unavailable(ourMembers), input: (f) => ({ projectId: f.projectId }) },
  'projects.purge': { statuses: ourMembers, input: (f) => ({ projectId: f.projectId, tags: ['a'] }) },
  'variables.list': { statuses: ourMembers, input: (f) => ({ projectId: f.projectId }) },
  'variables.set': { statuses: ourAdmins, input: (f) => ({ projectId: f.projectId, key: 'A', value: 'b' }) },
  'variables.remove': { statuses: ourAdmins, input: (f) => ({ projectId: f.projectId, key: 'SEEDED' }) },
  'domains.list': { statuses: ourMembers, input: (f) => ({ projectId: f.projectId }) },
  'domains.get': { statuses: ourMembers, input: (f) => ({ domain: f.domain }) },
  'domains.preview': { statuses: ourMembers, input: (f) => ({ projectId: f.projectId, hostname: 'new.example.net' }) },
  'domains.add': { statuses: ourAdmins, input: (f) => ({ projectId: f.projectId, hostname: `new-${f.projectId}.example.net` }) },
  'domains.update': { statuses: ourAdmins, input: (f) => ({ domain: f.domain, patch: { httpsRedirect: false } }) },
  'domains.remove': { statuses: ourAdmins, input: (f) => ({ domain: f.domain, confirmHostname: f.domain }) },
  'domains.check': { statuses: ourMembers, input: (f) => ({ domain: f.domain }) },
  'certificates.list': { statuses: own, input: () => ({}) },
  'certificates.get': { statuses: ourMembers, input: (f) => ({ certificateId: f.certificateId }) },
  'certificates.retry': { statuses: ourMembers, input: (f) => ({ certificateId: f.certificateId }) },
  'certificates.upload': { statuses: [401, 404, 403, 400, 400], input: (f) => ({ domain: f.domain, certificate: 'x', privateKey: 'x' }) },
  'certificates.remove': { statuses: ourAdmins, input: (f) => ({ certificateId: f.uploadedId }) },
  'dnsProviders.list': { statuses: own },
  'dnsProviders.create': { statuses: [401, 200, 403, 200, 200], input: () => ({ name: newId(), credentials: cloudflare }) },
  'dnsProviders.update': { statuses: ourAdmins, input: (f) => ({ dnsProviderId: f.dnsProviderId, patch: { credentials: cloudflare } }) },
  'dnsProviders.remove': { statuses: ourAdmins, input: (f) => ({ dnsProviderId: f.dnsProviderId }) },
  'deployments.create': { statuses: [401, 404, 400, 400, 400], input: (f) => ({ projectId: f.projectId }) },
  'deployments.list': { statuses: ourMembers, input: (f) => ({ projectId: f.projectId }) },
  'deployments.get': { statuses: ourMembers, input: (f) => ({ deploymentId: f.deploymentId }) },
  'deployments.cancel': { statuses: [401, 404, 409, 409, 409], input: (f) => ({ deploymentId: f.deploymentId }) },
  'deployments.logs': { statuses: ourMembers, input: (f) => ({ deploymentId: f.deploymentId }) },
  'deployments.watch': { statuses: ourMembers, input: (f) => ({ deploymentId: f.deploymentId }) },
  'instances.list': { statuses: own, input: (f) => ({ projectId: f.projectId }) },
  'instances.logs': { statuses: ourMembers, input: (f) => ({ instanceId: f.instanceId }) },
  'traffic.series': { statuses: ourMembers, input: (f) => ({ projectId: f.projectId, range: '1h' }) },
  'traffic.requests': { statuses: ourMembers, input: (f) => ({ projectId: f.projectId }) },
  'traffic.follow': { statuses: ourMembers, input: (f) => ({ projectId: f.projectId }) },
  'traffic.targetEvents': { statuses: ourMembers, input: (f) => ({ projectId: f.projectId }) },
  'apiKeys.list': { statuses: [401, 200, 403, 200, 200] },
  'apiKeys.create': { statuses: [401, 200, 403, 200, 200], input: () => ({ name: 'ci' }) },
  'apiKeys.revoke': { statuses: ourAdmins, input: (f) => ({ id: f.apiKeyId }) },
  'team.members': { statuses: own },
  'system.status': { statuses: own },
  'system.storage': { statuses: own },
  changes: { statuses: own },
}

const restRows: Record<string, Row> = {
  getMe: { statuses: own, path: () => '/me' },
  createProject: { statuses: created([401, 200, 403, 200, 200]), path: () => '/projects', body: () => ({ name: newId() }) },
  listProjects: { statuses: own, path: () => '/projects' },
  getProject: { statuses: ourMembers, path: (f) => `/projects/${f.slug}` },
  updateProject: { statuses: ourAdmins, path: (f) => `/projects/${f.projectId}`, body: () => ({ buildCommand: 'make' }) },
  removeProject: { statuses: emptied(ourAdmins), path: (f) => `/projects/${f.projectId}?confirm=${f.slug}` },
  purgeCache: { statuses: ourMembers, path: (f) => `/projects/${f.slug}/purge`, body: () => ({ paths: ['/a/*'] }) },
  clearBuildCache: { statuses: unavailable(ourMembers), path: (f) => `/projects/${f.slug}/build-cache` },
  getRules: { statuses: ourMembers, path: (f) => `/projects/${f.slug}/rules` },
  updateRules: { statuses: ourAdmins, path: (f) => `/projects/${f.projectId}/rules`, body: () => ({ cleanUrls: true }) },
  listInstances: { statuses: ourMembers, path: (f) => `/projects/${f.projectId}/instances` },
  listVariables: { statuses: ourMembers, path: (f) => `/projects/${f.projectId}/variables` },
  setVariable: { statuses: ourAdmins, path: (f) => `/projects/${f.projectId}/variables/A`, body: () => ({ value: 'b' }) },
  removeVariable: { statuses: emptied(ourAdmins), path: (f) => `/projects/${f.projectId}/variables/SEEDED` },
  listDomains: { statuses: ourMembers, path: (f) => `/projects/${f.projectId}/domains` },
  addDomain: {
    statuses: created(ourAdmins),
    path: (f) => `/projects/${f.projectId}/domains`,
    body: (f) => ({ hostname: `new-${f.projectId}.example.net` }),
  },
  getDomain: { statuses: ourMembers, path: (f) => `/domains/${f.domain}` },
  updateDomain: { statuses: ourAdmins, path: (f) => `/domains/${f.domain}`, body: () => ({ httpsRedirect: false }) },
  removeDomain: { statuses: emptied(ourAdmins), path: (f) => `/domains/${f.domain}?confirm=${f.domain}` },
  checkDomain: { statuses: ourMembers, path: (f) => `/domains/${f.domain}/check`, body: () => ({}) },
  listCertificates: { statuses: ourMembers, path: (f) => `/certificates?projectId=${f.projectId}` },
  uploadCertificate: {
    statuses: [401, 404, 403, 400, 400],
    path: () => '/certificates',
    body: (f) => ({ domain: f.domain, certificate: 'x', privateKey: 'x' }),
  },
  getCertificate: { statuses: ourMembers, path: (f) => `/certificates/${f.certificateId}` },
  retryCertificate: { statuses: ourMembers, path: (f) => `/certificates/${f.certificateId}/retry`, body: () => ({}) },
  removeCertificate: { statuses: emptied(ourAdmins), path: (f) => `/certificates/${f.uploadedId}` },
  listDnsProviders: { statuses: own, path: () => '/dns-providers' },
  createDnsProvider: {
    statuses: created([401, 200, 403, 200, 200]),
    path: () => '/dns-providers',
    body: () => ({ name: newId(), credentials: cloudflare }),
  },
  updateDnsProvider: { statuses: ourAdmins, path: (f) => `/dns-providers/${f.dnsProviderId}`, body: () => ({ name: newId() }) },
  removeDnsProvider: { statuses: emptied(ourAdmins), path: (f) => `/dns-providers/${f.dnsProviderId}` },
  createDeployment: { statuses: [401, 404, 400, 400, 400], path: () => '/deployments', body: (f) => ({ projectId: f.projectId }) },
  deploy: { statuses: [401, 404, 400, 400, 400], path: () => '/deploy', body: (f) => ({ projectId: f.projectId }) },
  listDeployments: { statuses: ourMembers, path: (f) => `/deployments?projectId=${f.projectId}` },
  getDeployment: { statuses: ourMembers, path: (f) => `/deployments/${f.deploymentId}` },
  cancelDeployment: { statuses: [401, 404, 409, 409, 409], path: (f) => `/deployments/${f.deploymentId}/cancel`, body: () => ({}) },
  streamDeploymentLogs: { statuses: ourMembers, path: (f) => `/deployments/${f.deploymentId}/logs?follow=0` },
  downloadDeployment: { statuses: unavailable(ourMembers), path: (f) => `/deployments/${f.deploymentId}/download` },
  uploadSource: { statuses: created(own), path: () => '/sources', body: () => 'bytes' },
  getTraffic: { statuses: ourMembers, path: (f) => `/projects/${f.slug}/traffic` },
  listRequests: { statuses: ourMembers, path: (f) => `/projects/${f.slug}/requests` },
  streamRequests: { statuses: ourMembers, path: (f) => `/projects/${f.slug}/requests/stream` },
  listTargetEvents: { statuses: ourMembers, path: (f) => `/projects/${f.slug}/target-events` },
  getMetrics: { statuses: unavailable(own), path: () => '/metrics' },
  streamInstanceLogs: { statuses: ourMembers, path: (f) => `/instances/${f.instanceId}/logs?follow=0` },
}

interface Procedure {
  path: string
  type: 'query' | 'mutation' | 'subscription'
  access: ProcedureMeta['access'] | undefined
}
const procedures: Procedure[] = Object.entries(
  appRouter._def.procedures as unknown as Record<string, { _def: { type: Procedure['type']; meta?: ProcedureMeta } }>,
).map(([path, procedure]) => ({ path, type: procedure._def.type, access: procedure._def.meta?.access }))

let api: TestApi
let keys: Record<Exclude<Person, 'anonymous'>, string>

beforeAll(async () => {
  api = await createTestApi({ email: 'owner@example.org', password: 'of this test', apiKey: null })
  const { teamId } = api.boot
  keys = {
    'other team': await api.addKey(await api.addTeam('other'), 'owner'),
    member: await api.addKey(teamId, 'member'),
    admin: await api.addKey(teamId, 'admin'),
    owner: await api.addKey(teamId, 'owner'),
  }
})
afterAll(() => api.close())

const bearer = (person: Person): Record<string, string> => (person === 'anonymous' ? {} : { authorization: `Bearer ${keys[person]}` })

async function fixture(): Promise<Fixture> {
  const { prisma } = api.database
  const { teamId } = api.boot
  const owner = await api.platform.accounts.actorOfApiKey(keys.owner)
  if (!owner) throw new Error('no owner')
  const { id: projectId, slug } = await api.platform.projects.create(owner, projectInput.parse({ name: newId() }))
  await api.platform.variables.set(owner, projectId, { key: 'SEEDED', value: 'x', scope: 'both' })
  const { hostname: domain } = await api.platform.domains.add(owner, projectId, domainInput.parse({ hostname: `${projectId}.example.net` }))
  const { id: environmentId } = await prisma.environment.findFirstOrThrow({ where: { projectId } })
  const [deploymentId, artifactId, releaseId, instanceId] = [newId(), newId(), newId(), newId()]
  const base = { teamId, projectId }
  const digest = `sha256:${'0'.repeat(64)}`
  await prisma.deployment.create({
    data: {
      ...base,
      id: deploymentId,
      environmentId,
      status: 'FAILED',
      triggeredBy: 'API',
      source: { kind: 'archive', digest },
      artifactId,
      releaseId,
    },
  })
  await prisma.artifact.create({
    data: { ...base, id: artifactId, kind: 'bundle', digest, buildKey: newId(), sizeBytes: 1, framework: 'node', metadata: {} },
  })
  await prisma.release.create({ data: { ...base, id: releaseId, environmentId, deploymentId, artifactId, config: {}, variables: new Uint8Array(1) } })
  await prisma.instance.create({
    data: { ...base, id: instanceId, environmentId, deploymentId, releaseId, runtime: 'process', slot: 'blue', state: 'stopped' },
  })
  const detail = {
    upstreamMs: 1,
    bytesIn: 0,
    bytesOut: 0,
    cache: 'none',
    protocol: 'h2',
    scheme: 'https',
    clientIp: '::1',
    userAgent: '',
    reason: null,
  }
  await prisma.accessLine.create({
    data: { ...base, at: new Date(), requestId: newId(), host: 'a.test', method: 'GET', target: '/', status: 200, durationMs: 1, detail },
  })
  await prisma.logLine.create({ data: { teamId, deploymentId, instanceId, step: 'app', stream: 'stdout', text: 'hello' } })
  const created = await api.platform.apiKeys.create(owner, { name: 'to revoke', role: 'member' })
  const { id: domainId } = await prisma.domain.findUniqueOrThrow({ where: { hostname: domain } })
  const [certificateId, uploadedId] = [newId(), newId()]
  await prisma.certificate.create({ data: { id: certificateId, teamId, domainId, names: [domain], state: 'failed' } })
  await prisma.certificate.create({ data: { id: uploadedId, teamId, domainId, names: [domain], state: 'active', source: 'uploaded' } })
  // A team has a bounded number of them.
  await prisma.dnsProvider.deleteMany()
  const provider = await api.platform.dnsProviders.create(owner, { name: newId(), credentials: { kind: 'cloudflare', apiToken: 'x' } })
  const ids = { certificateId, uploadedId, dnsProviderId: provider.id }
  return { projectId, slug, deploymentId, instanceId, apiKeyId: created.id, domain, ...ids }
}

/** A whole event that is neither the greeting nor a comment. */
const hasEvent = (text: string): boolean =>
  text
    .split('\n\n')
    .slice(0, -1)
    .some((event) => event.trim() !== '' && !/^(event: connected|:)/.test(event.trim()))

/** A refused subscription is an open stream whose first event is the error: its status is in there. */
async function firstEvent(response: Response, stirUp: () => Promise<void>): Promise<string> {
  const reader = response.body?.getReader()
  let text = ''
  let over = false
  const read = async () => {
    while (reader && !hasEvent(text)) {
      const { value, done } = await reader.read()
      if (done) break
      text += Buffer.from(value).toString()
    }
    over = true
  }
  const reading = read()
  while (!over) await stirUp()
  await reading
  await reader?.cancel()
  return text
}

/** Something happens in each team, so that whoever may watch sees it. */
async function announce(): Promise<void> {
  for (const { id } of await api.database.prisma.team.findMany()) await api.bus.publish({ kind: 'project', id: 'p', teamId: id, projectId: 'p' })
}

async function statusOf(response: Response): Promise<number> {
  if (!response.headers.get('content-type')?.startsWith('text/event-stream')) {
    await response.text()
    return response.status
  }
  const text = await firstEvent(response, announce)
  return Number(/"httpStatus":(\d+)/.exec(text)?.[1] ?? response.status)
}

async function callTrpc(procedure: Procedure, input: unknown, headers: Record<string, string>): Promise<number> {
  const serialized = input === undefined ? undefined : JSON.stringify(superjson.serialize(input))
  const query = procedure.type !== 'mutation' && serialized ? `?input=${encodeURIComponent(serialized)}` : ''
  const accept = procedure.type === 'subscription' ? 'text/event-stream' : 'application/json'
  const request = new Request(`http://localhost:3000/api/trpc/${procedure.path}${query}`, {
    method: procedure.type === 'mutation' ? 'POST' : 'GET',
    headers: { accept, 'content-type': 'application/json', ...headers },
    ...(procedure.type === 'mutation' ? { body: serialized ?? '{}' } : {}),
  })
  return statusOf(await handleTrpc(request))
}

async function callRest(method: string, path: string, body: unknown, headers: Record<string, string>): Promise<number> {
  const request = new Request(`http://localhost:3000/api/v1${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  return statusOf(await handleRest(request))
}

/** What the policy says must be what the row says: neither alone is believed. */
function agreesWithPolicy(access: ProcedureMeta['access'] | undefined, statuses: Statuses): void {
  expect(access).toBeDefined()
  if (!access || access === 'public') return
  expect(statuses[0]).toBe(401)
  const least = requiredRole[access] as Role
  expect(statuses[2] === 403).toBe(least !== 'member')
  expect(statuses[3] === 403).toBe(least === 'owner')
}

describe('tRPC', () => {
  it('every procedure has a row, and every row a procedure', () => {
    expect(Object.keys(trpcRows).sort()).toEqual(procedures.map((procedure) => procedure.path).sort())
  })

  it.each(procedures.map((procedure) => [procedure.path, procedure] as const))('%s answers each person as it must', async (path, procedure) => {
    const row = trpcRows[path]
    if (!row) throw new Error(`no row for ${path}`)
    agreesWithPolicy(procedure.access, row.statuses)
    for (const [i, person] of people.entries())
      expect([person, await callTrpc(procedure, row.input?.(await fixture()), bearer(person))]).toEqual([person, row.statuses[i]])
  })
})

describe('REST v1', () => {
  it('every route has a row, and every row a route', () => {
    expect(Object.keys(restRows).sort()).toEqual(catalogue.map((route) => route.id).sort())
  })

  it.each(catalogue.map((route) => [route.id, route] as const))('%s answers each person as it must', async (id, route) => {
    const row = restRows[id]
    if (!row) throw new Error(`no row for ${id}`)
    agreesWithPolicy(route.action, row.statuses)
    for (const [i, person] of people.entries()) {
      const made = await fixture()
      const status = await callRest(route.method, row.path?.(made) ?? '', row.body?.(made), bearer(person))
      expect([person, status]).toEqual([person, row.statuses[i]])
    }
  })
})

describe('lists', () => {
  it('of another team hold nothing of ours', async () => {
    await fixture()
    for (const path of ['/projects', '/deployments']) {
      const response = await handleRest(new Request(`http://localhost:3000/api/v1${path}`, { headers: bearer('other team') }))
      const { items } = (await response.json()) as { items: { name?: string; projectId?: string }[] }
      const ours = await api.database.prisma.project.findMany({ where: { teamId: api.boot.teamId }, select: { id: true } })
      expect(items.filter((item) => ours.some((one) => one.id === item.projectId || one.id === (item as { id?: string }).id))).toEqual([])
    }
  })
})

describe('the session cookie', () => {
  const cookie = async () => {
    const { id } = await api.database.prisma.user.findFirstOrThrow()
    const sid = await api.platform.accounts.beginSession(id, { address: '::1', userAgent: null })
    const token = await encode({ token: { sid }, secret: api.platform.settings.authSecret, maxAge: 60 })
    return { cookie: `next-auth.session-token=${token}`, host: 'localhost:3000' }
  }
  const create = async (headers: Record<string, string>) => callRest('POST', '/projects', { name: newId() }, { ...(await cookie()), ...headers })

  it('opens what the user may, by tRPC and by REST', async () => {
    const me = procedures.find((procedure) => procedure.path === 'me.get')
    if (!me) throw new Error('no me.get')
    expect(await callTrpc(me, undefined, await cookie())).toBe(200)
    expect(await callRest('GET', '/me', undefined, await cookie())).toBe(200)
    expect(await create({ origin: 'http://localhost:3000' })).toBe(201)
  })

  it('changes nothing for a request that another site started, be it an app on a sibling host', async () => {
    for (const origin of ['http://evil.example', 'http://app.localhost:3000', 'http://localhost:8080', 'null'])
      expect([origin, await create({ origin })]).toEqual([origin, 403])
    expect(await create({ 'sec-fetch-site': 'same-site' })).toBe(403)
    const projects = procedures.find((procedure) => procedure.path === 'projects.create')
    if (!projects) throw new Error('no projects.create')
    expect(await callTrpc(projects, { name: newId() }, { ...(await cookie()), origin: 'http://app.localhost:8080' })).toBe(403)
  })

  it('is nothing when signed with another secret, expired, ended, or of no session', async () => {
    const { id } = await api.database.prisma.user.findFirstOrThrow()
    const { accounts, settings } = api.platform
    const secret = settings.authSecret
    const [sid, ended] = await Promise.all([0, 1].map(() => accounts.beginSession(id, { address: '::1', userAgent: null })))
    await accounts.endSession(ended ?? '')
    for (const token of [
      await encode({ token: { sid }, secret: 'another', maxAge: 60 }),
      await encode({ token: { sid }, secret, maxAge: -60 }),
      await encode({ token: { sid: ended }, secret, maxAge: 60 }),
      await encode({ token: { sid: 'nobody' }, secret, maxAge: 60 }),
      await encode({ token: { uid: id }, secret, maxAge: 60 }),
      'garbage',
    ])
      expect(await callRest('GET', '/me', undefined, { cookie: `next-auth.session-token=${token}` })).toBe(401)
  })

  it('counts once, by the name of the scheme: a second one or a junk one of another name changes nothing', async () => {
    const { cookie: own } = await cookie()
    const status = (header: string, more = {}) => callRest('GET', '/me', undefined, { cookie: header, ...more })
    expect(await status(`__Secure-next-auth.session-token=junk; ${own}; next-auth.session-token.1=junk`)).toBe(200)
    expect(await status(`next-auth.session-token=planted; ${own}`)).toBe(401)
    const https = { 'x-forwarded-proto': 'https' }
    expect(await status(own, https)).toBe(401)
    expect(await status(`${own.replace('next-auth', '__Host-next-auth')}; ${own}`, https)).toBe(200)
  })

  it('does not stand in for an API key that is wrong', async () => {
    expect(await callRest('GET', '/me', undefined, { ...(await cookie()), authorization: 'Bearer sy_wrong' })).toBe(401)
  })
})
