/** From a verified domain to a browser that trusts it: the control plane's parts, real router workers, a real CA. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { connect } from 'node:tls'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newId } from '@/shared/node/ids'
import { openTestDatabase } from '@/test/support/factory'
import { type Pebble, startPebble } from '@/test/support/pebble'
import { freePorts } from '@/test/support/ports'
import { until } from '@/test/support/processes'
import { bundleRouters, type Routers } from '@/test/support/routers'
import { createChangeBus } from '../events/bus'
import { createChallengeBoard } from '../link/challenges'
import { LinkHub } from '../link/hub'
import { createRoutePublisher } from '../routes/publisher'
import { openSecrets } from '../secrets/secrets'
import { composeCertificates } from '.'

const logger = pino({ level: 'silent' })
const closers: (() => Promise<unknown>)[] = []
let db: Awaited<ReturnType<typeof openTestDatabase>>
let home: string
let routers: Routers | undefined
let pebble: Pebble
let httpsPort: number
let addDomain: (hostname: string, attempts?: number) => Promise<string>
let wake: (domainId: string) => void

beforeAll(async () => {
  db = await openTestDatabase()
  home = await mkdtemp(path.join(tmpdir(), 'sy-certs-edge-'))
  const [httpPort, tlsPort] = (await freePorts(2)) as [number, number]
  httpsPort = tlsPort
  pebble = await startPebble({ httpPort, tlsPort, badNonces: 15 })
  const { prisma, pool } = db
  const secrets = await openSecrets({ prisma, home })
  const hub = new LinkHub({ socketPath: path.join(home, 'run/edge.sock'), expectedWorkers: 2 })
  await hub.start()
  const bus = createChangeBus({ url: db.url, pool, logger })
  const ports = { http: httpPort, https: httpsPort }
  const routes = createRoutePublisher({ prisma, sink: hub, baseDomain: 'localhost', dashboardUrl: 'http://localhost:3000', ports })
  const board = createChallengeBoard(hub.messages)
  const checks = { check: async () => {}, precheck: async () => ({ ready: true, problem: null, nextCheckAt: null }) }
  const env = {
    acme: { production: [{ directory: pebble.directory, binding: null }], staging: null, email: null, caFile: pebble.caFile },
    domains: { dnsServers: [pebble.dnsServer], publicAddresses: [], publicHttpPort: httpPort, publicHttpsPort: httpsPort, shownHttpPort: httpPort },
  }
  const room = composeCertificates({
    env,
    prisma,
    pool,
    secrets,
    bus,
    logger,
    hub,
    board,
    checks,
    syncRoutes: () => routes.sync(),
    ownHosts: { read: async () => null, last: { pair: null, problem: null } },
  })
  routers = await bundleRouters()
  for (const id of [0, 1]) await routers.startWorker({ home, port: httpPort, id, env: { EDGE_HTTPS_PORT: String(httpsPort) } })
  await until('both routers are there', 20_000, () => hub.status().workers.filter((one) => one.listening).length === 2)
  const running = await room.start('machine', `machine:${newId()}`)
  closers.push(
    () => running.stop(),
    () => hub.close(),
    () => bus.close(),
  )
  addDomain = await prepareProject(secrets.createDataKey)
  wake = (domainId) => room.domainReady(domainId)
}, 120_000)
afterAll(async () => {
  await routers?.close()
  for (const close of closers) await close()
  await pebble?.stop()
  await db.close()
  await rm(home, { recursive: true, force: true })
})

async function prepareProject(createDataKey: (teamId: string) => Uint8Array<ArrayBuffer>) {
  const { prisma } = db
  const [teamId, projectId, environmentId] = [newId(), newId(), newId()]
  await prisma.team.create({ data: { id: teamId, name: 'Team', slug: teamId, dataKey: createDataKey(teamId) } })
  await prisma.project.create({ data: { id: projectId, teamId, name: 'shop', slug: 'shop' } })
  await prisma.environment.create({
    data: { id: environmentId, teamId, projectId, name: 'production', kind: 'PRODUCTION', slug: `env-${environmentId}` },
  })
  return async (hostname: string, attempts = 0) => {
    const id = newId()
    await prisma.domain.create({ data: { id, teamId, projectId, environmentId, hostname, token: newId() } })
    await prisma.certificate.create({ data: { id: `acme-${id}`, teamId, domainId: id, names: [hostname], attempts, nextAttemptAt: new Date() } })
    await prisma.domain.update({ where: { id }, data: { state: 'verified' } })
    return id
  }
}

/** Serial of what a browser that trusts the CA is shown; null: it does not trust it. */
async function shown(hostname: string): Promise<string | null> {
  const ca = await pebble.rootPem()
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port: httpsPort, servername: hostname, ca, ALPNProtocols: ['http/1.1'] }, () => {
      resolve(socket.getPeerCertificate().serialNumber)
      socket.destroy()
    })
    socket.on('error', () => resolve(null))
  })
}
const serialOf = async (domainId: string) => (await db.prisma.certificate.findFirst({ where: { domainId } }))?.serial ?? null
const served = (hostname: string, domainId: string) =>
  until(`${hostname} is served with its certificate`, 30_000, async () => {
    const serial = await serialOf(domainId)
    return serial !== null && (await shown(hostname)) === serial
  })

test('a domain is proved by http-01 at the routers, and served with what came of it', async () => {
  expect(await shown('shop.example.test')).toBeNull()
  const id = await addDomain('shop.example.test')
  wake(id)
  await served('shop.example.test', id)
})

test('a domain is proved by tls-alpn-01 at the routers, beside other TLS', async () => {
  const id = await addDomain('alpn.example.test', 1)
  wake(id)
  await served('alpn.example.test', id)
  expect(await db.prisma.certificateTry.findMany({ where: { name: 'alpn.example.test' } })).toMatchObject([{ succeeded: true }])
})

test('a renewed certificate takes the place of the old one at every router, without a moment in between', async () => {
  const id = await addDomain('renewed.example.test')
  wake(id)
  await served('renewed.example.test', id)
  const before = await serialOf(id)
  const seen = new Set<string | null>()
  await db.prisma.certificate.updateMany({ where: { domainId: id }, data: { nextAttemptAt: new Date() } })
  wake(id)
  await until('the new one is served', 30_000, async () => {
    const serial = await shown('renewed.example.test')
    seen.add(serial)
    return serial !== before
  })
  expect(await serialOf(id)).not.toBe(before)
  expect(seen.has(null)).toBe(false)
})
