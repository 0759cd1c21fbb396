import { beforeAll, describe, expect, test } from 'vitest'
import { createTestCa, type TestCa } from '@/test/support/test-ca'
import { checkPair, pairId, readFacts, renewalId, splitChain } from './pem'

let ca: TestCa
let other: TestCa
beforeAll(async () => {
  ca = await createTestCa()
  other = await createTestCa('Other')
})
const check = (chainPem: string, keyPem: string, hostname = 'shop.example.test') => checkPair({ chainPem, keyPem, hostname, now: Date.now() })
const day = 86_400_000

describe('a certificate of a person’s own', () => {
  test('is taken with its chain put in order, the root left out', async () => {
    const { certificatePem, keyPem } = await ca.leaf(['shop.example.test'])
    const pair = check(ca.rootPem + ca.intermediatePem + certificatePem, keyPem)
    expect(splitChain(pair.chainPem).map((one) => one.subject)).toEqual(['CN=shop.example.test', 'CN=Test CA'])
    expect(pair.facts).toMatchObject({ names: ['shop.example.test'], issuer: 'Test CA' })
    expect(pair.keyPem).toContain('BEGIN PRIVATE KEY')
  })

  test('may be for more names, or a wildcard of one label', async () => {
    const wide = await ca.leaf(['*.example.test', 'example.test'])
    expect(() => check(wide.certificatePem, wide.keyPem)).not.toThrow()
    expect(() => check(wide.certificatePem, wide.keyPem, 'example.test')).not.toThrow()
    expect(() => check(wide.certificatePem, wide.keyPem, '*.example.test')).not.toThrow()
    expect(() => check(wide.certificatePem, wide.keyPem, 'a.b.example.test')).toThrow('not for a.b.example.test')
  })

  test('of another key is refused', async () => {
    const [one, two] = await Promise.all([ca.leaf(['shop.example.test']), ca.leaf(['shop.example.test'])])
    expect(() => check(one.certificatePem, two.keyPem)).toThrow('does not belong')
  })

  test('that has expired, or is not valid yet, is refused with the date', async () => {
    const old = await ca.leaf(['shop.example.test'], { notBefore: new Date(Date.now() - 20 * day), notAfter: new Date(Date.now() - day) })
    expect(() => check(old.certificatePem, old.keyPem)).toThrow(/expired on \d{4}/)
    const early = await ca.leaf(['shop.example.test'], { notBefore: new Date(Date.now() + day) })
    expect(() => check(early.certificatePem, early.keyPem)).toThrow(/not valid before/)
  })

  test('with a weak key is refused', async () => {
    const weak = await ca.leaf(['shop.example.test'], { rsaBits: 1024 })
    expect(() => check(weak.certificatePem, weak.keyPem)).toThrow('browsers do not accept')
    const strong = await ca.leaf(['shop.example.test'], { rsaBits: 2048 })
    expect(() => check(strong.certificatePem, strong.keyPem)).not.toThrow()
  })

  test('with a key so long that each handshake would hold the router for everybody is refused', async () => {
    const long = await ca.leaf(['shop.example.test'], { rsaBits: 4_608 })
    expect(() => check(long.certificatePem, long.keyPem)).toThrow('4608 bits')
  })

  test('with a certificate in the chain that signed nothing is refused', async () => {
    const { certificatePem, keyPem } = await ca.leaf(['shop.example.test'])
    expect(() => check(certificatePem + other.intermediatePem, keyPem)).toThrow('did not sign')
  })

  test('that is no certificate, or no key, is refused in words', async () => {
    const { certificatePem, keyPem } = await ca.leaf(['shop.example.test'])
    expect(() => check('nothing', keyPem)).toThrow('no certificate')
    expect(() => check(certificatePem.replace(/[A-Z]{4}/, 'AAAA'), keyPem)).toThrow()
    expect(() => check(certificatePem, 'nothing')).toThrow('cannot be read')
    expect(() => check(certificatePem, '-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----')).toThrow('passphrase')
  })
})

test('a pair is named by its serial: a renewed one is another', () => {
  expect(pairId('acme-x', '0AFF')).toBe('acme-x.0aff')
})

test('the id for renewal information is key identifier and serial in base64url (RFC 9773 §4.1)', async () => {
  const { certificatePem } = await ca.leaf(['shop.example.test'], { keyIdentifier: '69885b6b87464041e1b37b847bd0ae2cde01c8d4', serial: '0087654321' })
  // The very values of the RFC's example.
  expect(renewalId(certificatePem)).toBe('aYhba4dGQEHhs3uEe9CuLN4ByNQ.AIdlQyE')
  expect(renewalId((await ca.leaf(['shop.example.test'])).certificatePem)).toBeNull()
})

test('what a certificate says is read from its leaf', async () => {
  const { certificatePem } = await ca.leaf(['Shop.example.test', '*.shop.example.test'])
  expect(readFacts(certificatePem + ca.intermediatePem)).toMatchObject({ names: ['shop.example.test', '*.shop.example.test'], issuer: 'Test CA' })
})

test('the name of a pair is short whatever serial a person’s certificate has, and still its own', () => {
  expect(pairId('abcdefghijkl', 'AB12')).toBe('abcdefghijkl.ab12')
  const [one, two] = [pairId('abcdefghijkl', '7F'.repeat(5_000)), pairId('abcdefghijkl', `${'7F'.repeat(4_999)}7E`)]
  expect(one.length).toBeLessThan(100)
  expect(one).not.toBe(two)
})
