import type * as acme from 'acme-client'
import { describe, expect, test } from 'vitest'
import { createTestCa } from '@/test/support/test-ca'
import { newKeyPem } from './accounts'
import { type OrderWork, runOrder } from './order'
import { AcmeProblem, type Fault, faultOf } from './problems'

/** Asks a CA whose answers are these, for an order that is under way. */
async function outcomeOf(
  answers: Record<string, unknown>,
  keyPem = newKeyPem(),
  more: Partial<OrderWork> = {},
): Promise<{ chain?: string; error?: unknown; fault?: Fault }> {
  const api = Object.fromEntries(Object.entries(answers).map(([name, answer]) => [name, async () => answer])) as unknown as acme.Client
  const work: OrderWork = {
    client: { run: (_signal, call) => call(api) },
    names: ['shop.example.test'],
    method: 'http-01',
    orderUrl: 'https://ca.example/order/1',
    replaces: null,
    keyPem,
    onOrder: async () => {},
    offer: async () => ({ withdraw: async () => {}, linger() {} }),
    takeBack: async () => {},
    signal: AbortSignal.timeout(10_000),
    ...more,
  }
  return runOrder(work).then(
    (chain) => ({ chain }),
    (error) => ({ error, fault: faultOf(error) }),
  )
}
const valid = { url: 'https://ca.example/order/1', status: 'valid' }

describe('a CA that answers garbage', () => {
  test('as an authorization gives no certificate, and another CA may be asked', async () => {
    const pending = { url: 'https://ca.example/order/1', status: 'pending' }
    for (const garbage of [[null], [{}], [{ status: 'pending' }], [{ status: 'pending', identifier: { value: 'x' }, challenges: 'none' }], 'page']) {
      const { error, fault } = await outcomeOf({ getOrder: pending, getAuthorizations: garbage })
      expect([error, fault]).toEqual([expect.any(AcmeProblem), 'authority'])
    }
  })

  test('as a certificate gives none, and another CA may be asked', async () => {
    const ca = await createTestCa()
    const { certificatePem } = await ca.leaf(['shop.example.test'])
    for (const garbage of ['', 'a page', certificatePem.slice(0, 300), certificatePem + ca.intermediatePem.repeat(11)]) {
      const { error, fault } = await outcomeOf({ getOrder: valid, getCertificate: garbage })
      expect([error, fault]).toEqual([expect.any(AcmeProblem), 'authority'])
    }
  })

  test('as a certificate of another key or name spends the order', async () => {
    const ca = await createTestCa()
    const [one, two] = [await ca.leaf(['shop.example.test']), await ca.leaf(['other.example.test'])]
    expect((await outcomeOf({ getOrder: valid, getCertificate: one.certificatePem }, two.keyPem)).fault).toBe('order')
    expect((await outcomeOf({ getOrder: valid, getCertificate: two.certificatePem }, two.keyPem)).fault).toBe('order')
    expect((await outcomeOf({ getOrder: valid, getCertificate: one.certificatePem }, one.keyPem)).chain).toBe(one.certificatePem)
  })
})

test('an order the CA has given up with an error of its own is over: it is not asked about again and again', async () => {
  const error = { type: 'urn:ietf:params:acme:error:serverInternal', detail: 'Error finalizing order', status: 500 }
  expect((await outcomeOf({ getOrder: { ...valid, status: 'invalid', error } })).fault).toBe('authority')
  const unproved = { type: 'urn:ietf:params:acme:error:unauthorized', detail: 'some authorizations failed', status: 403 }
  expect((await outcomeOf({ getOrder: { ...valid, status: 'invalid', error: unproved } })).fault).toBe('domain')
})

test('a record that a process left at the DNS host when it died is taken back by who goes on with the order', async () => {
  const ca = await createTestCa()
  const { certificatePem, keyPem } = await ca.leaf(['shop.example.test'])
  const challenge = { type: 'dns-01', url: 'https://ca.example/c/1', status: 'valid', token: 'token' }
  const authorization = { status: 'valid', identifier: { value: 'shop.example.test' }, challenges: [challenge] }
  const answers = { getOrder: valid, getAuthorizations: [authorization], getChallengeKeyAuthorization: 'digest', getCertificate: certificatePem }
  const back: unknown[] = []
  const takeBack = async (answer: unknown) => void back.push(answer)
  expect(await outcomeOf(answers, keyPem, { method: 'dns-01', takeBack })).toEqual({ chain: certificatePem })
  expect(back).toEqual([{ method: 'dns-01', hostname: 'shop.example.test', token: 'token', value: 'digest' }])
})
