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
  const [label = ''] = hostname.split('.')
  expect((await runCli(target, ['certs', 'ls', '--all', '--search', label.toUpperCase(), '--limit', '1', '--json'])).last).toMatchObject({
    items: [{ hostname }],
  })
  expect((await runCli(target, ['certs', 'ls', '--all', '--search', 'nothing-of-it', '--json'])).last).toEqual({ items: [] })
  expect((await runCli(target, ['certs', 'ls', '--all', '--limit', 'many'])).code).toBe(2)
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

it('domains set changes what is named and nothing else; rm takes it away without asking where nobody could answer', async () => {
  const set = (...more: string[]) => runCli(target, ['domains', 'set', hostname, ...more])
  const changed = await set('--hsts-seconds', '86400', '--json')
  expect([changed.code, changed.stdout.trim().split('\n').length]).toEqual([0, 1])
  expect(changed.last).toMatchObject({ hostname, hstsSeconds: 86_400, httpsRedirect: true, certificateMode: 'automatic' })
  expect((await set('--https-redirect', 'off', '--branch', 'next', '--certificate', 'off', '--json')).last).toMatchObject({
    hstsSeconds: 86_400,
    httpsRedirect: false,
    branch: 'next',
    certificateMode: 'off',
  })
  expect((await set('--branch', 'none', '--json')).last).toMatchObject({ branch: null, certificateMode: 'off' })
  for (const wrong of [[], ['--hsts-seconds', 'a year'], ['--hsts-seconds', '-1'], ['--https-redirect', 'maybe']])
    expect([wrong, (await set(...wrong)).code]).toEqual([wrong, 2])
  const elsewhere = await set('--redirect-to', 'nowhere.example.net')
  expect([elsewhere.code, elsewhere.stderr.includes('not a domain of this project')]).toEqual([1, true])
  expect((await runCli(target, ['domains', 'rm', hostname, '--json'])).last).toEqual({ hostname, removed: true })
  expect((await runCli(target, ['domains', 'inspect', hostname])).code).toBe(1)
})

it('ls shows the deployments of one status', async () => {
  expect((await runCli(target, ['ls', 'shop', '--status', 'failed', '--json'])).last).toEqual({ items: [], nextCursor: null })
  for (const wrong of [
    ['ls', '--status', 'failed'],
    ['ls', 'shop', '--status', 'sleepy'],
  ])
    expect((await runCli(target, wrong)).code).toBe(2)
})
