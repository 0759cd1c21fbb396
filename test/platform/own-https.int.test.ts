import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { api, deployByCli, folder } from '../support/journey'
import { type RunningPlatform, startPlatform } from '../support/platform'
import { createTestCa, type TestCa } from '../support/test-ca'

/** Hosts below BASE_DOMAIN with a certificate of the operator's own. */
let platform: RunningPlatform
let ca: TestCa
let directory: string
let app: Awaited<ReturnType<typeof folder>>

async function renew(): Promise<void> {
  const { certificatePem, keyPem } = await ca.leaf(['*.apps.test'])
  await writeFile(path.join(directory, 'chain.pem'), `${certificatePem}\n${ca.intermediatePem}`)
  await writeFile(path.join(directory, 'key.pem'), keyPem, { mode: 0o600 })
}

beforeAll(async () => {
  ca = await createTestCa()
  directory = await mkdtemp(path.join(tmpdir(), 'sy-own-https-'))
  app = await folder({ 'index.html': 'hello' })
  platform = await startPlatform({
    runtime: 'process',
    env: async () => ({
      BASE_DOMAIN: 'apps.test',
      BASE_DOMAIN_CERT_FILE: path.join(directory, 'chain.pem'),
      BASE_DOMAIN_KEY_FILE: path.join(directory, 'key.pem'),
    }),
  })
}, 120_000)
afterAll(async () => {
  await platform?.stop()
  await app?.remove()
  await rm(directory, { recursive: true, force: true })
})

/** GET by HTTPS, the certificate verified. */
function visit(address: string): Promise<{ status: number; body: string; serial: string }> {
  const { hostname, port, pathname } = new URL(address)
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: pathname, servername: hostname, headers: { host: hostname }, ca: ca.rootPem, agent: false }
    const sent = request(options, (response: IncomingMessage) => {
      const serial = (response.socket as TLSSocket).getPeerCertificate().serialNumber
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (text: string) => {
        body += text
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body, serial }))
      response.on('error', reject)
    })
    sent.on('error', reject)
    sent.end()
  })
}

test('projects and their deployments answer by HTTPS, HTTP leads there, and a renewed certificate is taken up', async () => {
  const health = async () => (await fetch(`${platform.url}/api/health`)).json()
  expect(await health()).toMatchObject({ ok: true, status: 'degraded', checks: { certificate: false } })
  const deployed = await deployByCli(platform, app.directory, 'site')
  expect(deployed.code, deployed.stderr).toBe(0)
  const read = async () => (await api<{ url: string; liveDeployment: { url: string } }>(platform, 'GET', '/projects/site')).body
  expect((await read()).url).toMatch(/^http:\/\/site\.apps\.test:\d+$/)
  // A certificate that comes changes addresses and redirects without a restart.
  await renew()
  await expect.poll(async () => (await read()).url, { timeout: 60_000, interval: 500 }).toMatch(/^https:/)
  const project = await read()
  expect(await health()).toMatchObject({ status: 'ok', checks: { certificate: true } })
  expect(project.url).toBe(`https://site.apps.test:${platform.edgeHttpsPort}`)
  await expect.poll(() => visit(project.url).then(({ status }) => status, String), { timeout: 60_000, interval: 500 }).toBe(200)
  const first = await visit(project.url)
  expect(first).toMatchObject({ status: 200, body: 'hello' })
  expect(await visit(project.liveDeployment.url)).toMatchObject({ status: 200, body: 'hello' })
  const plain = await platform.visit('site.apps.test', '/a?b')
  expect([plain.status, plain.headers.location]).toEqual([308, `${project.url}/a?b`])

  await renew()
  await expect.poll(async () => (await visit(project.url)).serial, { timeout: 60_000, interval: 500 }).not.toBe(first.serial)
}, 180_000)
