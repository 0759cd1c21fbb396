import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { domainSettings, domainVariables } from './settings'

const read = (variables: Record<string, string>) => z.object(domainVariables).safeParse(variables)

describe('addresses in the environment', () => {
  test('are compared as DNS spells them, however they were written', () => {
    const parsed = read({ EDGE_PUBLIC_ADDRESSES: '203.0.113.7, 2001:0DB8:0::0007' })
    expect(parsed.data && domainSettings(parsed.data).publicAddresses).toEqual(['203.0.113.7', '2001:db8::7'])
  })

  test('of resolvers are refused at boot when nobody could be asked there', () => {
    for (const servers of ['127.0.0.1', '127.0.0.1:5353,9.9.9.9', '2620:fe::fe', '[2620:fe::fe]:53', '[2620:fe::fe]'])
      expect(read({ DNS_SERVERS: servers }).success).toBe(true)
    for (const servers of ['999.0.0.1', '127.0.0.1:99999', '127.0.0.1:0', '::::', '[::::]:53', 'dns.example', ''])
      expect(read({ DNS_SERVERS: servers }).success).toBe(false)
  })
})
