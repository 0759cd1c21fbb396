import { createPrivateKey, X509Certificate } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type CertificateStage, createCertificateStage } from '@/test/support/certificates'
import { openTestDatabase } from '@/test/support/factory'
import { type Pebble, startPebble } from '@/test/support/pebble'
import { until } from '@/test/support/processes'
import type { DnsProvider } from './dns/provider'
import type { CertificateScheduler } from './scheduler'

let db: Awaited<ReturnType<typeof openTestDatabase>>
let stage: CertificateStage
let pebble: Pebble
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())
beforeEach(async () => {
  await db.pool.query('TRUNCATE "Team", "CertificateTry", "AcmeAccount" CASCADE')
  stage = await createCertificateStage(db)
  pebble = await startPebble({ httpPort: stage.responder.httpPort, tlsPort: stage.responder.tlsPort, badNonces: 15, blocked: ['blocked.test'] })
})
afterEach(async () => {
  await stage.close()
  await pebble.stop()
})

const ca = () => ({ production: [{ directory: pebble.directory, binding: null }], caFile: pebble.caFile, dnsServers: [pebble.dnsServer] })
const certificateOf = (domainId: string) => db.prisma.certificate.findFirst({ where: { domainId } })
const reached = (domainId: string, state: string) =>
  until(`the certificate is ${state}`, 20_000, async () => (await certificateOf(domainId))?.state === state)
/** Its pause is over. */
async function again(scheduler: CertificateScheduler, domainId: string): Promise<void> {
  await db.prisma.certificate.updateMany({ where: { domainId }, data: { nextAttemptAt: new Date() } })
  scheduler.wake()
}
const tries = () => db.prisma.certificateTry.findMany({ orderBy: { id: 'asc' } })

async function expectServable(domainId: string, name: string) {
  const row = await certificateOf(domainId)
  if (!row?.chainPem || !row.keyCiphertext) throw new Error('no certificate')
  const leaf = new X509Certificate(row.chainPem)
  expect(leaf.subjectAltName).toBe(`DNS:${name}`)
  expect(leaf.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1')
  const key = await stage.secrets.open(stage.teamId, row.keyCiphertext)
  expect(leaf.checkPrivateKey(createPrivateKey(key))).toBe(true)
  expect(row).toMatchObject({ orderUrl: null, orderKeyCiphertext: null, leaseOwner: null, attempts: 0, problem: null })
  return row
}

describe('a certificate arrives', () => {
  test('by http-01, with 15 % bad nonces, and nothing is left at the routers', async () => {
    const { id } = await stage.addDomain('a.example.test')
    await stage.start(ca())
    await reached(id, 'active')
    const row = await expectServable(id, 'a.example.test')
    expect(stage.responder.asked.http).toBeGreaterThan(0)
    expect(stage.responder.current()).toEqual({ http: {}, alpn: {} })
    const third = ((row.notAfter?.getTime() ?? 0) - (row.notBefore?.getTime() ?? 0)) / 3
    const left = (row.notAfter?.getTime() ?? 0) - (row.nextAttemptAt?.getTime() ?? 0)
    expect(left).toBeGreaterThanOrEqual(third)
    expect(left).toBeLessThan(third * 1.11)
    expect(await tries()).toMatchObject([{ name: 'a.example.test', succeeded: true, directory: pebble.directory }])
  })

  test('by tls-alpn-01 when http-01 failed before', async () => {
    const { id } = await stage.addDomain('b.example.test')
    stage.responder.onQuestion = () => stage.responder.setState('challenges', { http: {}, alpn: {} }, { deadlineMs: 1 })
    const scheduler = await stage.start(ca())
    await reached(id, 'failed')
    expect((await certificateOf(id))?.problem).toMatchObject({ step: 'validation', code: 'ERR_INVALID_INPUT', retryAfterSeconds: expect.any(Number) })
    await again(scheduler, id)
    await reached(id, 'active')
    await expectServable(id, 'b.example.test')
    expect(stage.responder.asked.alpn).toBeGreaterThan(0)
    expect((await tries()).map((one) => one.succeeded)).toEqual([false, true])
  })

  test('for a wildcard by dns-01, with the record gone afterwards', async () => {
    const shown: string[] = []
    const provider: DnsProvider = {
      async present(name, value) {
        shown.push(`+${name}`)
        await pebble.dns('set-txt', { host: `${name}.`, value })
      },
      async cleanup(name) {
        shown.push(`-${name}`)
        await pebble.dns('clear-txt', { host: `${name}.` })
      },
    }
    const { id } = await stage.addDomain('*.example.test', { dnsProviderId: await stage.addProvider() })
    await stage.start({ ...ca(), openProvider: () => provider })
    await reached(id, 'active')
    await expectServable(id, '*.example.test')
    expect(shown).toEqual(['+_acme-challenge.example.test', '-_acme-challenge.example.test'])
  })

  test('from a CA that wants an account binding', async () => {
    const key = Buffer.alloc(32, 7).toString('base64url')
    const strict = await startPebble({ httpPort: stage.responder.httpPort, tlsPort: stage.responder.tlsPort, bindings: { 'kid-1': key } })
    try {
      const { id } = await stage.addDomain('c.example.test')
      await stage.start({ ...ca(), production: [{ directory: strict.directory, binding: { keyId: 'kid-1', hmacKey: key } }], caFile: strict.caFile })
      await reached(id, 'active')
      expect(await db.prisma.acmeAccount.findMany()).toMatchObject([{ bindingKeyId: 'kid-1', contact: 'ops@example.test' }])
    } finally {
      await strict.stop()
    }
  })
})
