import { createPrivateKey, X509Certificate } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { certificateWorld } from '@/test/support/certificate-world'
import type { DnsProvider } from './dns/provider'

const world = certificateWorld({ badNonces: 15, blocked: ['blocked.test'] })
const { again, ca, certificateOf, reached, tries } = world

async function expectServable(domainId: string, name: string) {
  const row = await certificateOf(domainId)
  if (!row?.chainPem || !row.keyCiphertext) throw new Error('no certificate')
  const leaf = new X509Certificate(row.chainPem)
  expect(leaf.subjectAltName).toBe(`DNS:${name}`)
  expect(leaf.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1')
  const key = await world.stage.secrets.open(world.stage.teamId, row.keyCiphertext)
  expect(leaf.checkPrivateKey(createPrivateKey(key))).toBe(true)
  expect(row).toMatchObject({ orderUrl: null, orderKeyCiphertext: null, leaseOwner: null, attempts: 0, problem: null })
  return row
}

describe('a certificate arrives', () => {
  test('by http-01, with 15 % bad nonces, and nothing is left at the routers', async () => {
    const { id } = await world.stage.addDomain('a.example.test')
    await world.stage.start(ca())
    await reached(id, 'active')
    const row = await expectServable(id, 'a.example.test')
    expect(world.stage.responder.asked.http).toBeGreaterThan(0)
    expect(world.stage.responder.current()).toEqual({ http: {}, alpn: {} })
    const third = ((row.notAfter?.getTime() ?? 0) - (row.notBefore?.getTime() ?? 0)) / 3
    const left = (row.notAfter?.getTime() ?? 0) - (row.nextAttemptAt?.getTime() ?? 0)
    expect(left).toBeGreaterThanOrEqual(third)
    expect(left).toBeLessThan(third * 1.11)
    expect(await tries()).toMatchObject([{ name: 'a.example.test', succeeded: true, directory: world.pebble.directory }])
  })

  test('by tls-alpn-01 when http-01 failed before', async () => {
    const { id } = await world.stage.addDomain('b.example.test')
    world.stage.responder.onQuestion = () => world.stage.responder.setState('challenges', { http: {}, alpn: {} }, { deadlineMs: 1 })
    const scheduler = await world.stage.start(ca())
    await reached(id, 'failed')
    expect((await certificateOf(id))?.problem).toMatchObject({ step: 'validation', code: 'ERR_INVALID_INPUT', retryAfterSeconds: expect.any(Number) })
    await again(scheduler, id)
    await reached(id, 'active')
    await expectServable(id, 'b.example.test')
    expect(world.stage.responder.asked.alpn).toBeGreaterThan(0)
    expect((await tries()).map((one) => one.succeeded)).toEqual([false, true])
  })

  test('for a wildcard by dns-01, with the record gone afterwards', async () => {
    const shown: string[] = []
    const provider: DnsProvider = {
      async present(name, value) {
        shown.push(`+${name}`)
        await world.pebble.dns('set-txt', { host: `${name}.`, value })
      },
      async cleanup(name) {
        shown.push(`-${name}`)
        await world.pebble.dns('clear-txt', { host: `${name}.` })
      },
    }
    const { id } = await world.stage.addDomain('*.example.test', { dnsProviderId: await world.stage.addProvider() })
    await world.stage.start({ ...ca(), openProvider: () => provider })
    await reached(id, 'active')
    await expectServable(id, '*.example.test')
    expect(shown).toEqual(['+_acme-challenge.example.test', '-_acme-challenge.example.test'])
  })

  test('from a CA that wants an account binding', async () => {
    const key = Buffer.alloc(32, 7).toString('base64url')
    const strict = await world.startCa({ bindings: { 'kid-1': key } })
    const { id } = await world.stage.addDomain('c.example.test')
    await world.stage.start({
      ...ca(),
      production: [{ directory: strict.directory, binding: { keyId: 'kid-1', hmacKey: key } }],
      caFile: strict.caFile,
    })
    await reached(id, 'active')
    expect(await world.db.prisma.acmeAccount.findMany()).toMatchObject([{ bindingKeyId: 'kid-1', contact: 'ops@example.test' }])
  })
})
