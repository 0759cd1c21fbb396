/** Real router processes serving HTTPS, told by the real control socket. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import http from 'node:http'
import https from 'node:https'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import tls from 'node:tls'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { RouteTable } from '@/shared/route-table'
import { freePorts } from '@/test/support/ports'
import { bundleRouters, type Routers } from '@/test/support/routers'
import { createTestCa, type TestCa } from '@/test/support/test-ca'
import { LinkHub } from './hub'

let routers: Routers
let ca: TestCa
let home: string
let app: http.Server
let port: number
let securePort: number
const hubs: LinkHub[] = []
/** id → what the control plane answers when it is asked for it. */
const pairs = new Map<string, { id: string; chainPem: string; keyPem: string }>()
let asked = 0

beforeAll(async () => {
  routers = await bundleRouters()
  ca = await createTestCa()
})
afterAll(() => routers.close())
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'sy-https-'))
  app = http.createServer((req, res) => res.end(`${req.headers['x-forwarded-proto']} ${req.headers['x-forwarded-port']}`))
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve))
  ;[port = 0, securePort = 0] = await freePorts(2)
  pairs.clear()
  asked = 0
})
afterEach(async () => {
  await routers.close(false)
  for (const hub of hubs.splice(0)) await hub.close()
  app.closeAllConnections()
  app.close()
  await rm(home, { recursive: true, force: true })
})

async function startHub(expectedWorkers = 1): Promise<LinkHub> {
  const hub = new LinkHub({ socketPath: path.join(home, 'run/edge.sock'), expectedWorkers })
  hubs.push(hub)
  hub.messages.onAsk('certificates', async ({ ids }) => {
    asked++
    return { certificates: ids.flatMap((id) => pairs.get(id) ?? []) }
  })
  await hub.start()
  return hub
}

const startWorker = (id = 0, env: Record<string, string> = {}) =>
  routers.startWorker({ home, port, id, env: { EDGE_HTTPS_PORT: String(securePort), EDGE_WORKERS: '2', ...env } })

/** A certificate the control plane has, as the table names it. */
async function certificate(id: string, names: string[], days = 30) {
  const notAfter = new Date(Math.floor(Date.now() / 1000) * 1000 + days * 86_400_000)
  const { certificatePem, keyPem } = await ca.leaf(names, { notAfter })
  pairs.set(id, { id, chainPem: `${certificatePem}\n${ca.intermediatePem}`, keyPem })
  return { id, names, notAfter: notAfter.getTime() }
}

let version = 0
function table(certificates: RouteTable['certificates'] = []): RouteTable {
  const target = { instanceId: 'i', host: '127.0.0.1', port: (app.address() as AddressInfo).port }
  const route = { host: 'app.test', teamId: 't', projectId: 'p', projectName: 'shop', deploymentId: 'd', state: 'live' as const, targets: [target] }
  return {
    version: ++version,
    generatedAt: new Date().toISOString(),
    dashboardUrl: 'http://localhost:3000',
    routes: [{ ...route, httpsOnly: true, hstsSeconds: 3600 }],
    certificates,
    httpsPort: securePort,
  }
}

interface Got {
  status: number
  body: string
  headers: http.IncomingHttpHeaders
  /** When the certificate ends; 0 over HTTP. */
  notAfter: number
}

async function get(secure: boolean): Promise<Got> {
  const where = { port: secure ? securePort : port, host: '127.0.0.1', servername: 'app.test', ca: ca.rootPem, agent: false as const }
  const req = secure ? https.get({ ...where, headers: { Host: 'app.test' } }) : http.get({ ...where, headers: { Host: 'app.test' } })
  const [res] = (await once(req, 'response')) as [http.IncomingMessage]
  const notAfter = secure ? Date.parse((res.socket as tls.TLSSocket).getPeerCertificate().valid_to) : 0
  let body = ''
  for await (const chunk of res) body += chunk
  return { status: res.statusCode ?? 0, body, headers: res.headers, notAfter }
}

test('a published certificate serves its name on every worker; HTTP is redirected; HSTS is said over HTTPS alone', async () => {
  const hub = await startHub(2)
  await Promise.all([startWorker(0), startWorker(1)])
  await hub.publish(table([await certificate('c1', ['app.test'])]), { deadlineMs: 10_000 })
  for (let i = 0; i < 10; i++) {
    const answer = await get(true)
    expect(answer.body).toBe(`https ${securePort}`)
    expect(answer.headers['strict-transport-security']).toMatch(/max-age=3600/)
    const plain = await get(false)
    expect(plain.status).toBe(308)
    expect(plain.headers.location).toBe(`https://app.test:${securePort}/`)
    expect(plain.headers['strict-transport-security']).toBeUndefined()
  }
})

test('a restarted worker serves HTTPS from disk, without control plane', async () => {
  const hub = await startHub()
  const worker = await startWorker()
  await hub.publish(table([await certificate('c1', ['app.test'])]), { deadlineMs: 10_000 })
  expect((await get(true)).status).toBe(200)
  await hub.close()
  worker.kill('SIGKILL')
  await once(worker, 'exit')
  const before = asked
  await startWorker()
  expect((await get(true)).status).toBe(200)
  expect(asked).toBe(before)
})

test('a renewed certificate is served once published, and a kept connection never notices', async () => {
  const hub = await startHub()
  await startWorker()
  const old = await certificate('c1', ['app.test'])
  await hub.publish(table([old]), { deadlineMs: 10_000 })
  const kept = tls.connect({ port: securePort, host: '127.0.0.1', servername: 'app.test', ca: ca.rootPem })
  await once(kept, 'secureConnect')
  const renewed = await certificate('c2', ['app.test'], 80)
  await hub.publish(table([renewed]), { deadlineMs: 10_000 })
  expect((await get(true)).notAfter).toBe(renewed.notAfter)
  kept.write('GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n')
  let text = ''
  for await (const chunk of kept) text += chunk
  expect(text).toMatch(/^HTTP\/1.1 200 /)
})

test('a certificate whose key the control plane does not have holds nothing up', async () => {
  const hub = await startHub()
  await startWorker()
  const good = await certificate('c1', ['app.test'])
  const startedAt = Date.now()
  await hub.publish(table([good, { ...good, id: 'unknown', notAfter: good.notAfter + 1_000 }]), { deadlineMs: 10_000 })
  expect(Date.now() - startedAt).toBeLessThan(3_000)
  expect((await get(true)).notAfter).toBe(good.notAfter)
})

test('challenges reach every worker, by HTTP and within TLS', async () => {
  const hub = await startHub(2)
  await Promise.all([startWorker(0), startWorker(1)])
  await hub.publish(table(), { deadlineMs: 10_000 })
  const challenge = await ca.leaf(['challenge.test'])
  const alpn = { 'new.test': { certificatePem: challenge.certificatePem, keyPem: challenge.keyPem } }
  await hub.messages.setState('challenges', { http: { token: 'token.key' }, alpn }, { deadlineMs: 5_000 })
  for (let i = 0; i < 8; i++) {
    const answer = await fetch(`http://127.0.0.1:${port}/.well-known/acme-challenge/token`)
    expect(await answer.text()).toBe('token.key')
    const socket = tls.connect({
      port: securePort,
      host: '127.0.0.1',
      servername: 'new.test',
      ALPNProtocols: ['acme-tls/1'],
      rejectUnauthorized: false,
    })
    await once(socket, 'secureConnect')
    expect(socket.alpnProtocol).toBe('acme-tls/1')
    expect(socket.getPeerCertificate().subjectaltname).toBe('DNS:challenge.test')
    socket.destroy()
  }
})

test('a port of HTTPS that is taken costs HTTPS alone: HTTP is served, and nobody is redirected to what is not there', async () => {
  const other = net.createServer((socket) => socket.destroy())
  await new Promise<void>((resolve) => other.listen(securePort, '127.0.0.1', resolve))
  const hub = await startHub()
  await startWorker()
  await hub.publish(table([await certificate('c1', ['app.test'])]), { deadlineMs: 10_000 })
  const answer = await get(false)
  expect(answer.status).toBe(200)
  expect(answer.body).toBe(`http ${port}`)
  other.close()
})
