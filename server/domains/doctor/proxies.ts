import { BlockList, isIPv6 } from 'node:net'

/** Networks of well-known reverse proxies, as published by them (cloudflare.com/ips, api.fastly.com/public-ip-list; November 2026). */
const published = {
  Cloudflare: [
    '173.245.48.0/20',
    '103.21.244.0/22',
    '103.22.200.0/22',
    '103.31.4.0/22',
    '141.101.64.0/18',
    '108.162.192.0/18',
    '190.93.240.0/20',
    '188.114.96.0/20',
    '197.234.240.0/22',
    '198.41.128.0/17',
    '162.158.0.0/15',
    '104.16.0.0/13',
    '104.24.0.0/14',
    '172.64.0.0/13',
    '131.0.72.0/22',
    '2400:cb00::/32',
    '2606:4700::/32',
    '2803:f800::/32',
    '2405:b500::/32',
    '2405:8100::/32',
    '2a06:98c0::/29',
    '2c0f:f248::/32',
  ],
  Fastly: [
    '23.235.32.0/20',
    '43.249.72.0/22',
    '103.244.50.0/24',
    '104.156.80.0/20',
    '146.75.0.0/17',
    '151.101.0.0/16',
    '157.52.64.0/18',
    '199.232.0.0/16',
    '2a04:4e40::/32',
    '2a04:4e42::/32',
  ],
} as const
export type KnownProxy = keyof typeof published

const lists = (Object.entries(published) as [KnownProxy, readonly string[]][]).map(([name, networks]) => {
  const list = new BlockList()
  for (const network of networks) {
    const [base = '', bits = '0'] = network.split('/')
    list.addSubnet(base, Number(bits), isIPv6(base) ? 'ipv6' : 'ipv4')
  }
  return { name, list }
})

/** The known reverse proxy that owns an address; null: unknown. */
export const proxyAt = (address: string): KnownProxy | null =>
  lists.find(({ list }) => list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4'))?.name ?? null
