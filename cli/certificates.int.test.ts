import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { api } from '@/test/support/journey'
import { type RunningPlatform, startPlatform } from '@/test/support/platform'
import { createTestCa } from '@/test/support/test-ca'
import { type CliTarget, runCli } from './testing/run-cli'

let platform: RunningPlatform
let target: CliTarget
let work: string
const hostname = 'shop.example.net'

beforeAll(async () => {
  // Nothing of this test asks the internet.
  platform = await startPlatform({ runtime: 'process', env: { DNS_SERVERS: '127.0.0.1:1', ACME_DIRECTORY: 'off' } })
  work = await mkdtemp(path.join(tmpdir(), 'switchyard-cli-certs-'))
  target = { api: platform.url, token: platform.apiKey, config: path.join(work, 'config') }
  const { body } = await api<{ projectId: string }>(platform, 'POST', '/projects', { name: 'shop' })
  await api(platform, 'POST', `/projects/${body.projectId}/domains`, { hostname })
}, 180_000)
afterAll(async () => {
  await platform?.stop()
  if (work) await rm(work, { recursive: true, force: true })
}, 120_000)

it('certs upload, ls, inspect and rm look after a certificate of one’s own', async () => {
  const ca = await createTestCa()
  const { certificatePem, keyPem } = await ca.leaf([hostname])
  const [cert, chain, key] = ['cert.pem', 'chain.pem', 'key.pem'].map((name) => path.join(work, name)) as [string, string, string]
  await Promise.all([writeFile(cert, certificatePem), writeFile(chain, ca.intermediatePem), writeFile(key, keyPem)])
  const uploaded = await runCli(target, ['certs', 'upload', hostname, '--cert', cert, '--chain', chain, '--key', key])
  expect(uploaded.code, uploaded.stderr).toBe(0)
  expect(uploaded.stderr).toContain('Test CA')
  const list = await runCli(target, ['certs', '--project', 'shop', '--json'])
  expect(list.last).toMatchObject({ items: [{ hostname, state: 'active', source: 'uploaded', names: [hostname] }] })
  expect((await runCli(target, ['certs', 'inspect', hostname])).stdout).toContain('Test CA')
  const renewed = await runCli(target, ['certs', 'renew', hostname])
  expect([renewed.code, renewed.stderr.includes('was uploaded')]).toEqual([1, true])
  expect((await runCli(target, ['certs', 'rm', hostname])).code).toBe(0)
  expect((await runCli(target, ['certs', 'ls', '--all', '--json'])).last).toEqual({ items: [] })
})

it('certs upload says what does not fit, and a wrong path or name is a mistake in the call', async () => {
  const ca = await createTestCa()
  const { certificatePem, keyPem } = await ca.leaf(['other.example.net'])
  const [cert, key] = ['other.pem', 'other.key'].map((name) => path.join(work, name)) as [string, string]
  await Promise.all([writeFile(cert, certificatePem), writeFile(key, keyPem)])
  const refused = await runCli(target, ['certs', 'upload', hostname, '--cert', cert, '--key', key])
  expect([refused.code, refused.stderr.includes(`not for ${hostname}`)]).toEqual([1, true])
  expect((await runCli(target, ['certs', 'upload', hostname, '--cert', '/nowhere.pem', '--key', key])).code).toBe(2)
  expect((await runCli(target, ['certs', 'inspect', 'nothing.example'])).code).toBe(2)
})
