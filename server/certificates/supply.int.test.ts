import { createPrivateKey, X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { domainInput } from '@/shared/domains'
import { newId } from '@/shared/node/ids'
import { projectInput } from '@/shared/views'
import { createTestApi, type TestApi } from '@/test/support/api'
import { startApi } from '@/test/support/json-api'
import { createTestCa, type TestCa } from '@/test/support/test-ca'
import type { Actor } from '../actor'
import { createAcmeTransport } from './acme'
import { pollRenewalInfo } from './renewal-info'
import { certificateEntries, createCertificateSupply } from './supply'

let api: TestApi
let ca: TestCa
let owner: Actor
let hostname: string
let supply: ReturnType<typeof createCertificateSupply>
const day = 86_400_000

beforeAll(async () => {
  api = await createTestApi({ email: 'owner@example.org', password: 'of this test', apiKey: null })
  ca = await createTestCa()
  owner = await api.actorOf(api.boot.teamId, 'owner')
  const project = await api.platform.projects.create(owner, projectInput.parse({ name: 'shop' }))
  hostname = 'shop.example.net'
  await api.platform.domains.add(owner, project.id, domainInput.parse({ hostname }))
  await api.database.prisma.domain.updateMany({ data: { state: 'verified' } })
  supply = createCertificateSupply({ prisma: api.database.prisma, secrets: api.secrets, logger: { warn: () => {} } })
})
afterAll(() => api.close())

async function upload(options?: Parameters<TestCa['leaf']>[1]) {
  const { certificatePem, keyPem } = await ca.leaf([hostname], options)
  const view = await api.platform.certificates.upload(owner, {
    domain: hostname,
    certificate: certificatePem + ca.intermediatePem,
    privateKey: keyPem,
  })
  return { view, certificatePem, keyPem }
}

describe('an uploaded certificate', () => {
  test('is in the table by a name of its own, and given to routers with its key, which lies encrypted', async () => {
    const { view } = await upload()
    expect(view).toMatchObject({ state: 'active', source: 'uploaded', names: [hostname], issuer: 'Test CA', nextAttemptAt: null })
    const [entry] = await certificateEntries(api.database.prisma)
    expect(entry).toMatchObject({ names: [hostname], notAfter: Date.parse(view.notAfter ?? '') })
    const { certificates } = await supply({ ids: [entry?.id ?? '', 'acme-nobody.01', `${view.id}.ff`, 'nonsense'] })
    expect(certificates).toHaveLength(1)
    const [pair] = certificates
    expect(pair?.id).toBe(entry?.id)
    expect(new X509Certificate(pair?.chainPem ?? '').checkPrivateKey(createPrivateKey(pair?.keyPem ?? ''))).toBe(true)
    const row = await api.database.prisma.certificate.findUniqueOrThrow({ where: { id: view.id } })
    expect(Buffer.from(row.keyCiphertext ?? []).toString('latin1')).not.toContain('PRIVATE KEY')
  })

  test('replaces the one before, whose name is known no more', async () => {
    const [before] = await certificateEntries(api.database.prisma)
    await upload()
    const entries = await certificateEntries(api.database.prisma)
    expect(entries).toHaveLength(1)
    expect(entries[0]?.id).not.toBe(before?.id)
    expect(await supply({ ids: [before?.id ?? ''] })).toEqual({ certificates: [] })
  })

  test('is not renewed from here, and taken away the domain is automatic again', async () => {
    const { view } = await upload()
    await expect(api.platform.certificates.retry(owner, view.id)).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
    expect((await api.platform.domains.get(owner, hostname)).certificateMode).toBe('uploaded')
    await api.platform.certificates.remove(owner, view.id)
    expect((await api.platform.domains.get(owner, hostname)).certificateMode).toBe('automatic')
    expect(await certificateEntries(api.database.prisma)).toEqual([])
  })

  test('that names hosts of others is served for the team’s own domains alone', async () => {
    const { certificatePem, keyPem } = await ca.leaf([hostname, 'victim.example.org', '*.example.net'])
    await api.platform.certificates.upload(owner, { domain: hostname, certificate: certificatePem, privateKey: keyPem })
    const [row] = await api.database.prisma.domain.findMany()
    const other = await api.addTeam('rival')
    const theirs = { teamId: other, projectId: newId(), environmentId: row?.environmentId ?? '', token: newId(), state: 'verified' as const }
    await api.database.prisma.domain.create({ data: { ...theirs, id: newId(), hostname: 'rival.example.net' } })
    expect((await certificateEntries(api.database.prisma)).map((one) => one.names)).toEqual([[hostname]])
    await api.database.prisma.certificate.deleteMany()
    await api.database.prisma.domain.updateMany({ where: { hostname }, data: { certificateMode: 'automatic' } })
  })

  test('is the only one, when two people upload theirs at once', async () => {
    const outcomes = await Promise.allSettled([upload(), upload(), upload(), upload()])
    expect(outcomes.map(({ status }) => status)).toEqual(Array(4).fill('fulfilled'))
    expect(await api.database.prisma.certificate.count({ where: { source: 'uploaded' } })).toBe(1)
    await api.database.prisma.certificate.deleteMany()
    await api.database.prisma.domain.updateMany({ where: { hostname }, data: { certificateMode: 'automatic' } })
  })

  test('that does not fit the domain is refused, and nothing is recorded', async () => {
    const { certificatePem, keyPem } = await ca.leaf(['other.example.net'])
    const input = { domain: hostname, certificate: certificatePem, privateKey: keyPem }
    await expect(api.platform.certificates.upload(owner, input)).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
    expect(await api.database.prisma.certificate.count({ where: { source: 'uploaded' } })).toBe(0)
  })
})

describe('routers', () => {
  test('get everything but the one pair whose key cannot be opened', async () => {
    const { view } = await upload()
    const { teamId } = owner
    const { domainId } = await api.database.prisma.certificate.findUniqueOrThrow({ where: { id: view.id } })
    const fields = { teamId, domainId, names: ['broken.example.net'], state: 'active' as const, chainPem: 'x', serial: '1', notAfter: new Date() }
    const broken = newId()
    await api.database.prisma.certificate.create({ data: { ...fields, id: broken, keyCiphertext: new Uint8Array(40) } })
    const ids = (await certificateEntries(api.database.prisma)).map((one) => one.id)
    expect(ids).toHaveLength(2)
    expect((await supply({ ids })).certificates.map((one) => one.id)).toEqual(ids.filter((one) => !one.startsWith(broken)))
    await api.database.prisma.certificate.delete({ where: { id: broken } })
  })

  test('that ask for nonsense are refused', async () => {
    await expect(supply({ ids: 'x' } as never)).rejects.toThrow()
    await expect(supply({ ids: [''] })).rejects.toThrow()
  })
})

test('a certificate moves its renewal to where the CA wants it, asked by key identifier and serial (RFC 9773)', async () => {
  const [start, end] = [new Date(Date.now() + 2 * day), new Date(Date.now() + 4 * day)]
  const asked: string[] = []
  const server = await startApi(({ url }) => {
    const at = (name: string) => `${server.url}/${name}`
    const directory = { newNonce: at('nonce'), newAccount: at('account'), newOrder: at('order'), renewalInfo: at('ari') }
    if (url.pathname === '/dir') return { status: 200, body: directory }
    asked.push(url.pathname)
    return {
      status: 200,
      body: { suggestedWindow: { start, end }, explanationURL: 'https://ca.example/incident' },
      headers: { 'retry-after': '7200' },
    }
  })
  const { view } = await upload({ keyIdentifier: '69885b6b87464041e1b37b847bd0ae2cde01c8d4', serial: '0087654321' })
  const { prisma, pool } = api.database
  await prisma.certificate.update({ where: { id: view.id }, data: { source: 'acme', directory: `${server.url}/dir` } })
  const transport = await createAcmeTransport({ caFile: null })
  const poll = () =>
    pollRenewalInfo({ pool, prisma, transport, now: Date.now, random: () => 0.5 }, [`${server.url}/dir`], AbortSignal.timeout(10_000))
  await poll()
  await poll()
  expect(asked).toEqual(['/ari/aYhba4dGQEHhs3uEe9CuLN4ByNQ.AIdlQyE'])
  const row = await api.platform.certificates.get(owner, view.id)
  expect(Date.parse(row.nextAttemptAt ?? '')).toBe(start.getTime() + day)
  expect(row.renewalExplanationUrl).toBe('https://ca.example/incident')
  const info = (await prisma.certificate.findUniqueOrThrow({ where: { id: view.id } })).renewalInfo as { nextPollAt: number }
  expect(info.nextPollAt - Date.now()).toBeGreaterThan(7_100_000)
  transport.close()
  await server.close()
})

describe('DNS providers', () => {
  const credentials = { kind: 'cloudflare', apiToken: 'very-secret' } as const

  test('keep their credentials to themselves', async () => {
    const created = await api.platform.dnsProviders.create(owner, { name: 'main', credentials })
    expect(JSON.stringify([created, await api.platform.dnsProviders.list(owner)])).not.toContain('very-secret')
    const row = await api.database.prisma.dnsProvider.findUniqueOrThrow({ where: { id: created.id } })
    expect(Buffer.from(row.credentials).toString('latin1')).not.toContain('very-secret')
    expect(await api.secrets.open(owner.teamId, row.credentials)).toContain('very-secret')
    const audit = await api.database.prisma.auditEntry.findMany({ where: { subject: created.id } })
    expect(JSON.stringify(audit.map((one) => one.detail))).not.toContain('very-secret')
  })

  test('have names of their own, and stay of their kind', async () => {
    await expect(api.platform.dnsProviders.create(owner, { name: 'main', credentials })).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
    const [main] = await api.platform.dnsProviders.list(owner)
    const other = { kind: 'digitalocean', apiToken: 'x' } as const
    await expect(api.platform.dnsProviders.update(owner, main?.id ?? '', { credentials: other })).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT' })
  })

  test('cannot be removed while a domain needs them', async () => {
    const [main] = await api.platform.dnsProviders.list(owner)
    await api.platform.domains.update(owner, hostname, { dnsProviderId: main?.id ?? '' })
    await expect(api.platform.dnsProviders.remove(owner, main?.id ?? '')).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
    await api.platform.domains.update(owner, hostname, { dnsProviderId: null })
    await api.platform.dnsProviders.remove(owner, main?.id ?? '')
    expect(await api.platform.dnsProviders.list(owner)).toEqual([])
  })

  test('are a hundred in a team at most, when two are added at once too', async () => {
    const rows = Array.from({ length: 98 }, (_, i) => ({
      id: newId(),
      teamId: owner.teamId,
      name: `n${i}`,
      kind: 'cloudflare',
      credentials: new Uint8Array(),
    }))
    await api.database.prisma.dnsProvider.createMany({ data: rows })
    const outcomes = await Promise.allSettled([0, 1, 2, 3].map((i) => api.platform.dnsProviders.create(owner, { name: `last${i}`, credentials })))
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected'])
    await api.database.prisma.dnsProvider.deleteMany()
  })

  test('by webhook without encryption are for operators', async () => {
    const plain = { kind: 'webhook', url: 'http://dns.example.net/', secret: 'sixteen characters' } as const
    await expect(api.platform.dnsProviders.create({ ...owner, operator: false }, { name: 'hook', credentials: plain })).rejects.toMatchObject({
      code: 'ERR_INVALID_INPUT',
    })
  })
})

test('a valid certificate is renewed by hand a few times a day, so that a CA has some left when it is needed', async () => {
  const { prisma } = api.database
  const { id: domainId } = await prisma.domain.findUniqueOrThrow({ where: { hostname } })
  const fields = { teamId: owner.teamId, names: [hostname], directory: 'https://ca.example.org/dir' }
  const { id } = await prisma.certificate.create({ data: { ...fields, id: newId(), domainId, state: 'active' } })
  for (const certificateMode of ['off', 'uploaded'] as const) {
    await api.platform.domains.update(owner, hostname, { certificateMode })
    await expect(api.platform.certificates.retry(owner, id)).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
      message: expect.stringContaining(hostname),
    })
  }
  expect((await prisma.certificate.findUniqueOrThrow({ where: { id } })).nextAttemptAt).toBeNull()
  await api.platform.domains.update(owner, hostname, { certificateMode: 'automatic' })
  const asked = { teamId: owner.teamId, name: hostname, directory: fields.directory, succeeded: true }
  await prisma.certificateTry.createMany({ data: [asked, asked, { ...asked, startedAt: new Date(Date.now() - 2 * day) }] })
  await api.platform.certificates.retry(owner, id)
  await prisma.certificateTry.create({ data: asked })
  await expect(api.platform.certificates.retry(owner, id)).rejects.toMatchObject({ code: 'ERR_CONFLICT' })
  await prisma.certificate.update({ where: { id }, data: { state: 'failed' } })
  await api.platform.certificates.retry(owner, id)
  await prisma.certificate.delete({ where: { id } })
})
