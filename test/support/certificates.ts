import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer as createHttp, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createSecureContext, createServer as createTls, type Server as TlsServer } from 'node:tls'
import { pino } from 'pino'
import { createAcmeAccounts } from '@/server/certificates/accounts'
import { createAcmeTransport } from '@/server/certificates/acme'
import { createAnswers } from '@/server/certificates/answers'
import type { Authorities, Authority } from '@/server/certificates/authorities'
import type { DnsProvider } from '@/server/certificates/dns/provider'
import { type CertificateScheduler, type SchedulerOptions, startScheduler } from '@/server/certificates/scheduler'
import type { Database } from '@/server/database/client'
import { type ChallengeBoard, createChallengeBoard } from '@/server/link/challenges'
import { openSecrets, type Secrets } from '@/server/secrets/secrets'
import type { LinkStates } from '@/shared/link'
import { newId } from '@/shared/node/ids'

type Challenges = LinkStates['challenges']

/** Answers a CA as the routers do, from the same state of the link. */
export interface Responder {
  httpPort: number
  tlsPort: number
  /** `LinkMessages.setState`, as far as challenges go. */
  setState(kind: string, state: unknown, options: { deadlineMs: number }): Promise<void>
  /** What it would answer now. */
  current(): Challenges
  /** Questions it was asked, per method. */
  asked: { http: number; alpn: number }
  /** Has no answer to anything. */
  deaf: boolean
  /** Called before each answer to http-01. */
  onQuestion?: (token: string) => Promise<void>
  close(): Promise<void>
}

export async function startResponder(): Promise<Responder> {
  let state: Challenges = { http: {}, alpn: {} }
  const asked = { http: 0, alpn: 0 }
  const http = createHttp((request, response) => {
    const token = /^\/\.well-known\/acme-challenge\/([\w-]+)$/.exec(request.url ?? '')?.[1] ?? ''
    asked.http++
    void (responder.onQuestion?.(token) ?? Promise.resolve()).then(() => {
      const answer = responder.deaf ? undefined : state.http[token]
      response.writeHead(answer ? 200 : 404).end(answer ?? 'not found')
    })
  })
  const tls = createTls({
    ALPNProtocols: ['acme-tls/1'],
    SNICallback: (name, done) => {
      const pair = state.alpn[name]
      asked.alpn++
      if (pair && !responder.deaf) done(null, createSecureContext({ cert: pair.certificatePem, key: pair.keyPem }))
      else done(new Error(`nothing for ${name}`))
    },
  })
  tls.on('tlsClientError', () => {})
  const responder: Responder = {
    httpPort: await listening(http),
    tlsPort: await listening(tls),
    setState: async (_kind, next) => {
      state = next as Challenges
    },
    current: () => state,
    asked,
    deaf: false,
    close: async () => {
      http.closeAllConnections()
      await Promise.all([http, tls].map((server) => new Promise((resolve) => server.close(resolve))))
    },
  }
  return responder
}

/** The connection of a process that has died: it renews no lease and claims nothing. */
const mortalPool = (pool: Database['pool'], life: { dead: boolean }): Database['pool'] =>
  new Proxy(pool, {
    get(target, name) {
      if (life.dead && name === 'query') return () => Promise.reject(new Error('this process has died'))
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })

const mortalBoard = (responder: Responder, life: { dead: boolean }) =>
  createChallengeBoard({ setState: async (kind, state, options) => (life.dead ? undefined : responder.setState(kind, state, options)) })

async function oneFile(home: string, given: string | string[]): Promise<string> {
  if (typeof given === 'string') return given
  const file = path.join(home, `${newId()}.pem`)
  await writeFile(file, (await Promise.all(given.map((one) => readFile(one, 'utf8')))).join(''))
  return file
}

function listening(server: Server | TlsServer): Promise<number> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)))
}

export interface CertificateStage {
  secrets: Secrets
  teamId: string
  responder: Responder
  board: ChallengeBoard
  /** A verified domain that wants a certificate. */
  addDomain(hostname: string, data?: { dnsProviderId?: string; state?: 'unverified' | 'verified' | 'misconfigured' }): Promise<{ id: string }>
  /** A DNS provider row, opened by `openProvider` of the start options. */
  addProvider(kind?: string): Promise<string>
  start(options: StageOptions): Promise<CertificateScheduler>
  close(): Promise<void>
}

export interface StageOptions extends Partial<Omit<SchedulerOptions, 'authorities'>> {
  production: Authority[]
  staging?: Authority | null
  /** Several are put together. */
  caFile: string | string[]
  dnsServers?: string[]
  openProvider?: () => DnsProvider
  routers?: () => number
  timeoutMs?: number
  /** When this is set it has no routers and claims nothing, as a process that has died; requests to the CA and fenced writes go on. */
  life?: { dead: boolean }
}

/** A team with a project on a real database, a responder in the routers' place, and schedulers as the control plane composes them. */
export async function createCertificateStage(database: Pick<Database, 'prisma' | 'pool'>): Promise<CertificateStage> {
  const { prisma, pool } = database
  const home = await mkdtemp(path.join(tmpdir(), 'sy-certs-'))
  const secrets = await openSecrets({ prisma, home })
  const [teamId, projectId, environmentId] = [newId(), newId(), newId()]
  await prisma.team.create({ data: { id: teamId, name: 'Team', slug: `team-${teamId}`, dataKey: secrets.createDataKey(teamId) } })
  await prisma.project.create({ data: { id: projectId, teamId, name: 'app', slug: `app-${projectId}` } })
  await prisma.environment.create({
    data: { id: environmentId, teamId, projectId, name: 'production', kind: 'PRODUCTION', slug: `env-${environmentId}` },
  })
  const responder = await startResponder()
  const board = createChallengeBoard({ setState: (kind, state, options) => responder.setState(kind, state, options) })
  const schedulers: CertificateScheduler[] = []
  const transports: { close(): void }[] = []
  return {
    secrets,
    teamId,
    responder,
    board,
    async addDomain(hostname, data = {}) {
      const id = newId()
      const row = { id, teamId, projectId, environmentId, hostname, token: newId(), state: 'verified' as const, ...data }
      await prisma.domain.create({ data: row })
      return { id }
    },
    async addProvider(kind = 'webhook') {
      const id = newId()
      await prisma.dnsProvider.create({ data: { id, teamId, name: id, kind, credentials: await secrets.seal(teamId, '{}') } })
      return id
    },
    async start(options) {
      const { production, staging = null, caFile: given, dnsServers = [], openProvider, routers = () => 1, timeoutMs, life, ...rest } = options
      const caFile = await oneFile(home, given)
      const transport = await createAcmeTransport({ caFile, timeoutMs: timeoutMs ?? 5_000 })
      transports.push(transport)
      const authorities: Authorities = { production, staging, email: 'ops@example.test', caFile }
      const noProvider = () => {
        throw new Error('this test has no DNS provider')
      }
      const scheduler = startScheduler({
        pool: life ? mortalPool(pool, life) : pool,
        prisma,
        secrets,
        authorities,
        transport,
        accounts: createAcmeAccounts({ prisma, secrets, transport, email: authorities.email }),
        answers: createAnswers({
          prisma,
          secrets,
          board: life ? mortalBoard(responder, life) : board,
          routers,
          openProvider: openProvider ?? noProvider,
          dnsServers,
          propagationDeadlineMs: 10_000,
        }),
        precheck: async () => null,
        changed: async () => {},
        now: Date.now,
        random: Math.random,
        logger: pino({ level: 'silent' }),
        owner: `test:${newId()}`,
        floorMs: 200,
        ...rest,
      })
      schedulers.push(scheduler)
      return scheduler
    },
    async close() {
      await Promise.all(schedulers.map((one) => one.stop()))
      for (const transport of transports) transport.close()
      await responder.close()
      await rm(home, { recursive: true, force: true })
    },
  }
}
