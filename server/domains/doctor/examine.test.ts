import { describe, expect, test } from 'vitest'
import { parseDomainName } from '../hostname'
import { examine, judge } from './examine'
import type { Facts } from './facts'

const ports = { http: 80, https: 443 }
/** All is well, but nobody could reach ports 80 and 443. */
const shut = (change: Partial<Facts> = {}): Facts => ({
  name: parseDomainName('intern.example.com'),
  projectHost: 'shop.example.net',
  token: 't',
  rival: 'none',
  certificateMode: 'automatic',
  hasDnsProvider: false,
  own: { addresses: ['203.0.113.7'], origin: 'configured', local: ['203.0.113.7'] },
  probed: 'intern.example.com',
  zone: { kind: 'found', values: ['ns1.example.com'] },
  a: { kind: 'found', values: ['203.0.113.7'] },
  aaaa: { kind: 'no-data' },
  aliases: [],
  claimTxt: null,
  caa: { at: null, outcome: { kind: 'no-data' } },
  issuers: ['letsencrypt.org'],
  http: [{ address: '203.0.113.7', kind: 'refused' }],
  https: [{ address: '203.0.113.7', kind: 'refused' }],
  ...change,
})
const stateOf = (facts: Facts, id: string) => examine(facts, ports).find((check) => check.id === id)?.state

describe('a server that no CA can reach', () => {
  test('gets no certificate over HTTP, and is told which port is shut', () => {
    const verdict = judge(examine(shut(), ports))
    expect(verdict).toMatchObject({ traffic: 'yes', certificate: false, problem: { message: expect.stringContaining(':80 refuses') } })
  })

  test('gets one by DNS when the domain has a DNS provider; what is shut is still said', () => {
    const facts = shut({ hasDnsProvider: true })
    expect(judge(examine(facts, ports))).toEqual({ traffic: 'yes', certificate: true, problem: null })
    expect([stateOf(facts, 'http'), stateOf(facts, 'https')]).toEqual(['fail', 'fail'])
    expect(examine(facts, ports).find((check) => check.id === 'method')?.cause).toContain('DNS provider')
  })

  test('by DNS needs a CAA record that allows it', () => {
    const caa = {
      at: 'example.com',
      outcome: { kind: 'found' as const, values: [{ critical: 0, issue: 'letsencrypt.org; validationmethods=http-01' }] },
    }
    expect(judge(examine(shut({ hasDnsProvider: true, caa }), ports))).toMatchObject({ certificate: false, problem: { step: 'CAA records' } })
  })
})
