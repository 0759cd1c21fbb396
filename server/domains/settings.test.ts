import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { domainSettings, domainVariables } from './settings'

const read = (variables: Record<string, string>) => z.object(domainVariables).safeParse(variables)

describe('addresses in the environment', () => {
  test('are compared as DNS spells them, however they were written', () => {
    const parsed = read({ EDGE_PUBLIC_ADDRESSES: '203.0.113.7, 2001:0DB8:0::0007' })
    expect(parsed.data && domainSettings(parsed.data, { http: 8080, https: 8443 }).publicAddresses).toEqual(['203.0.113.7', '2001:db8::7'])
  })

  test('of resolvers are refused at boot when nobody could be asked there', () => {
    for (const servers of ['127.0.0.1', '127.0.0.1:5353,9.9.9.9', '2620:fe::fe', '[2620:fe::fe]:53', '[2620:fe::fe]'])
      expect(read({ DNS_SERVERS: servers }).success).toBe(true)
    for (const servers of ['999.0.0.1', '127.0.0.1:99999', '127.0.0.1:0', '::::', '[::::]:53', 'dns.example', ''])
      expect(read({ DNS_SERVERS: servers }).success).toBe(false)
  })
})

describe('ports in redirects and in addresses that are shown', () => {
  const ports = (variables: Record<string, string>, https = 8443) => {
    const { publicHttpPort, publicHttpsPort, shownHttpPort } = domainSettings(z.object(domainVariables).parse(variables), { http: 8080, https })
    return { publicHttpPort, publicHttpsPort, shownHttpPort }
  }

  test('are those the router listens on, unless something in front has others', () => {
    expect(ports({})).toEqual({ publicHttpPort: 80, publicHttpsPort: 8443, shownHttpPort: 8080 })
    expect(ports({ EDGE_PUBLIC_HTTP_PORT: '81', EDGE_PUBLIC_HTTPS_PORT: '443' })).toEqual({
      publicHttpPort: 81,
      publicHttpsPort: 443,
      shownHttpPort: 81,
    })
    expect(ports({}, 0).publicHttpsPort).toBe(443)
  })
})
