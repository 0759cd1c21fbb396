import { encode } from 'next-auth/jwt'
import superjson from 'superjson'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { domainInput } from '@/shared/domains'
import { newId } from '@/shared/node/ids'
import { defaultHealthCheck, defaultInstanceLimits } from '@/shared/release'
import { projectInput } from '@/shared/views'
import { webhookInput } from '@/shared/webhooks'
import { createTestApi, type TestApi } from '@/test/support/api'
import type { Actor } from '../actor'
import { type Action, can } from '../teams/policy'
import type { Endpoint } from './endpoint'
import { endpoints } from './endpoints'
import { type EndpointTree, isEndpoint } from './procedures'
import { catalogue } from './rest/catalogue'
import { handleRest } from './rest/handler'
import type { RestRoute } from './rest/route'
import { appRouter } from './router'
import { handleTrpc } from './trpc-handler'

/**
 * Every endpoint × everybody who may come, by tRPC and by REST. The rows follow from the definitions and the permission table: the action
 * decides which role is refused, and a field of the input that names something of our team is unknown to another team.
 */
const people = ['anonymous', 'other team', 'member', 'admin', 'owner'] as const
type Person = (typeof people)[number]

/** Things of our team, by the fields of inputs that name them: made anew for each cell. */
interface Fixture {
  project: string
  projectId: string
  environment: string
  deploymentId: string
  instanceId: string
  apiKeyId: string
  domain: string
  /** Automatic. */
  certificateId: string
  dnsProviderId: string
  webhookId: string
  deliveryId: string
  link: string
  /** Waits for approval. */
  gitDeliveryId: string
  deployHookId: string
}
const names = [
  'project',
  'projectId',
  'environment',
  'deploymentId',
  'instanceId',
  'apiKeyId',
  'domain',
  'certificateId',
  'dnsProviderId',
  'webhookId',
  'deliveryId',
  'link',
  'gitDeliveryId',
  'deployHookId',
] as const
type Extra = { uploadedId: string; slug: string }

/** Where the input cannot follow from the schema and the example. */
const inputs: Record<string, (f: Fixture & Extra) => object> = {
  createProject: () => ({ name: newId() }),
  removeProject: (f) => ({ confirm: f.slug }),
  removeVariable: () => ({ key: 'SEEDED' }),
  addDomain: (f) => ({ hostname: `new-${f.projectId}.example.net` }),
  removeDomain: (f) => ({ confirm: f.domain }),
  removeCertificate: (f) => ({ certificateId: f.uploadedId }),
  createDnsProvider: () => ({ name: newId() }),
  // Addresses that need no name server.
  createWebhook: () => ({ url: 'https://1.1.1.1/hook' }),
  createTeamWebhook: () => ({ url: 'https://1.1.1.1/hook' }),
  setGitConnection: () => ({ apiUrl: 'https://1.1.1.1/api' }),
  updateWebhook: () => ({ url: 'https://1.1.1.1/hook' }),
  // The stream ends with the lines there are.
  streamDeploymentLogs: () => ({ follow: '0' }),
  streamInstanceLogs: () => ({ follow: '0' }),
}

/** What somebody who may is answered, where it is no success: 503 is an engine that is not part of this test. */
const answers: Record<string, number> = {
  createFirstAccount: 409,
  inspectRepository: 503,
  clearBuildCache: 503,
  uploadCertificate: 400,
  createDeployment: 400,
  deploy: 400,
  cancelDeployment: 409,
  // The deployment failed in production, where nothing is live.
  rollBackDeployment: 409,
  rollBackProject: 409,
  promoteDeployment: 409,
  restartProject: 409,
  closeEnvironment: 409,
  approveEnvironment: 409,
  downloadDeployment: 503,
  getMetrics: 503,
}

const schemaOf = (endpoint: Endpoint): z.ZodObject | undefined => endpoint.input

/** Fields that name something of our team. Optional ones narrow down what is read; of a write they would change something else. */
function namesIn(endpoint: Endpoint): (typeof names)[number][] {
  const schema = schemaOf(endpoint)
  if (!schema) return []
  return names.filter((name) => {
    const field = schema.shape[name]
    const isNeeded = field instanceof z.ZodType && !field.safeParse(undefined).success
    // An environment that narrows down a list of another team leaves it empty.
    return isNeeded || (field instanceof z.ZodType && endpoint.method === 'GET' && name !== 'environment')
  })
}

function inputOf(endpoint: Endpoint, f: Fixture & Extra): Record<string, unknown> {
  const named = Object.fromEntries(namesIn(endpoint).map((name) => [name, f[name]]))
  return { ...endpoint.example, ...named, ...inputs[endpoint.id]?.(f) }
}

function statusFor(endpoint: Endpoint, person: Person, success: number): number {
  if (endpoint.action === 'public') return answers[endpoint.id] ?? success
  if (person === 'anonymous') return 401
  const action: Action = endpoint.action
  if (!can({ role: person === 'other team' ? 'owner' : person }, action)) return 403
  if (person === 'other team' && namesIn(endpoint).length > 0) return 404
  return answers[endpoint.id] ?? success
}

interface Procedure {
  path: string
  endpoint: Endpoint
}
/** `{projects: {create}}` as `projects.create`. */
const named = (tree: EndpointTree, prefix = ''): Procedure[] =>
  Object.entries(tree).flatMap(([name, node]) => (isEndpoint(node) ? [{ path: prefix + name, endpoint: node }] : named(node, `${name}.`)))
const all = named(endpoints)
const procedures = all.filter(({ endpoint }) => endpoint.kind === 'value' || endpoint.kind === 'stream')
const procedureAt = (wanted: string): Procedure => {
  const found = procedures.find(({ path }) => path === wanted)
  if (!found) throw new Error(`there is no procedure ${wanted}`)
  return found
}

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

async function fixture(): Promise<Fixture & Extra> {
  const { prisma } = api.database
  const { teamId } = api.boot
  const owner = await api.platform.accounts.actorOfApiKey(keys.owner)
  if (!owner) throw new Error('no owner')
  const { id: projectId, slug } = await api.platform.projects.create(owner, projectInput.parse({ name: newId() }))
  await api.platform.variables.set(owner, projectId, { key: 'SEEDED', value: 'x', scope: 'both' })
  const { hostname: domain } = await api.platform.domains.add(owner, projectId, domainInput.parse({ hostname: `${projectId}.example.net` }))
  const { id: environmentId } = await prisma.environment.findFirstOrThrow({ where: { projectId, kind: 'PRODUCTION' } })
  await prisma.environment.update({ where: { id: environmentId }, data: { protection: 'link' } })
  const { id: link } = await api.platform.shareLinks.create(owner, environmentId, { name: null, days: 1 })
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
  const config = { health: { ...defaultHealthCheck }, limits: { ...defaultInstanceLimits }, instances: 1 }
  const variables = await api.secrets.seal(teamId, '{}')
  await prisma.release.create({ data: { ...base, id: releaseId, environmentId, deploymentId, artifactId, config, variables } })
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
  await prisma.webhook.deleteMany()
  const provider = await api.platform.dnsProviders.create(owner, { name: newId(), credentials: { kind: 'cloudflare', apiToken: 'x' } })
  // A port that refuses connections: a test message gets no answer.
  const hook = await api.platform.webhooks.create(
    { ...owner, operator: true },
    projectId,
    webhookInput.parse({ url: 'http://127.0.0.1:1', kinds: ['*'] }),
  )
  const deliveryId = newId()
  await prisma.webhookDelivery.create({
    data: { id: deliveryId, ...base, webhookId: hook.id, messageId: newId(), kind: 'deployment.ready', body: '{}', state: 'failed' },
  })
  const { id: deployHookId } = await api.platform.gitEvents.createDeployHook(owner, { project: projectId, name: 'cms', environment: 'production' })
  const gitDeliveryId = await addGitDelivery(owner, base)
  const ids = { certificateId, uploadedId, dnsProviderId: provider.id, webhookId: hook.id, deliveryId, link, gitDeliveryId, deployHookId }
  return { project: slug, projectId, slug, environment: environmentId, deploymentId, instanceId, apiKeyId: created.id, domain, ...ids }
}

/** A push that waits for approval. */
async function addGitDelivery(owner: Actor, base: { teamId: string; projectId: string }): Promise<string> {
  await api.platform.gitEvents.hook(owner, base.projectId)
  const { id: hookId } = await api.database.prisma.gitHook.findUniqueOrThrow({ where: { projectId: base.projectId } })
  const content = {
    kind: 'push',
    repository: 'a/b',
    branch: 'main',
    before: null,
    after: null,
    forced: false,
    message: null,
    author: null,
    files: null,
    defaultBranch: null,
  }
  const id = newId()
  await api.database.prisma.gitDelivery.create({
    data: { ...base, id, hookId, provider: 'github', deliveryId: id, event: 'push', content, subject: 'branch:main', decision: 'waiting' },
  })
  return id
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

async function callTrpc({ path, endpoint }: Procedure, input: unknown, headers: Record<string, string>): Promise<number> {
  const mutation = endpoint.method !== 'GET'
  const serialized = JSON.stringify(superjson.serialize(endpoint.input ? input : undefined))
  const accept = endpoint.kind === 'stream' ? 'text/event-stream' : 'application/json'
  const request = new Request(`http://localhost:3000/api/trpc/${path}${mutation ? '' : `?input=${encodeURIComponent(serialized)}`}`, {
    method: mutation ? 'POST' : 'GET',
    headers: { accept, 'content-type': 'application/json', ...headers },
    ...(mutation ? { body: serialized } : {}),
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

/** The request that a route takes these fields from. */
function requestFor(route: RestRoute, input: Record<string, unknown>): { path: string; body: unknown } {
  const left = { ...input }
  const path = route.path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = String(left[name])
    delete left[name]
    return encodeURIComponent(value)
  })
  if (route.body === 'raw') return { path, body: 'bytes' }
  if (route.body) return { path, body: left }
  return { path: `${path}?${new URLSearchParams(left as Record<string, string>)}`, body: undefined }
}

describe('definitions', () => {
  it('what changes something does not take an action that only reads, and what reads takes no other', () => {
    for (const { path, endpoint } of all)
      if (endpoint.action !== 'public') expect([path, /\.(read|watch)$/.test(endpoint.action)]).toEqual([path, endpoint.method === 'GET'])
  })

  it('each has an id of its own, and each procedure and route comes from one', () => {
    const ids = all.map(({ endpoint }) => endpoint.id)
    expect(new Set(ids).size).toBe(ids.length)
    expect(Object.keys(appRouter._def.procedures).sort()).toEqual(procedures.map(({ path }) => path).sort())
    expect(catalogue.map(({ id }) => id)).toEqual(all.filter(({ endpoint }) => endpoint.path !== null).map(({ endpoint }) => endpoint.id))
  })
})

describe('tRPC', () => {
  it.each(procedures.map((procedure) => [procedure.path, procedure] as const))('%s answers each person as it must', async (_, procedure) => {
    const { endpoint } = procedure
    for (const person of people) {
      const status = await callTrpc(procedure, inputOf(endpoint, await fixture()), bearer(person))
      expect([person, status]).toEqual([person, statusFor(endpoint, person, 200)])
    }
  })
})

describe('REST v1', () => {
  const definitions = new Map(all.map(({ endpoint }) => [endpoint.id, endpoint]))
  it.each(catalogue.map((route) => [route.id, route] as const))('%s answers each person as it must', async (id, route) => {
    const endpoint = definitions.get(id)
    if (!endpoint) throw new Error(`no definition of ${id}`)
    for (const person of people) {
      const { path, body } = requestFor(route, inputOf(endpoint, await fixture()))
      expect([person, await callRest(route.method, path, body, bearer(person))]).toEqual([person, statusFor(endpoint, person, route.answer.status)])
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
    expect(await callTrpc(procedureAt('me.get'), undefined, await cookie())).toBe(200)
    expect(await callRest('GET', '/me', undefined, await cookie())).toBe(200)
    expect(await create({ origin: 'http://localhost:3000' })).toBe(201)
  })

  it('changes nothing for a request that another site started, be it an app on a sibling host', async () => {
    for (const origin of ['http://evil.example', 'http://app.localhost:3000', 'http://localhost:8080', 'null'])
      expect([origin, await create({ origin })]).toEqual([origin, 403])
    expect(await create({ 'sec-fetch-site': 'same-site' })).toBe(403)
    expect(await callTrpc(procedureAt('projects.create'), { name: newId() }, { ...(await cookie()), origin: 'http://app.localhost:8080' })).toBe(403)
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
