import { BlockList, isIP, SocketAddress } from 'node:net'
import { z } from 'zod'

/** The visitor of a request that came through trusted proxies (TRUSTED_PROXIES), by X-Forwarded-For. The control plane and the routers share it. */

/** Whether an address belongs to a trusted proxy. */
export type TrustedProxies = (address: string) => boolean

/** An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`, of a dual-stack listener) as IPv4; a zone is removed. */
export function plainAddress(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  return mapped?.[1] ?? address.replace(/%.*$/, '')
}

const network = z.string().refine((text) => {
  const [address = '', prefix, ...more] = text.split('/')
  const bits = isIP(address) === 4 ? 32 : 128
  return isIP(address) !== 0 && more.length === 0 && (prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits))
}, 'must be addresses or networks like 127.0.0.1, 10.0.0.0/8, separated by commas')

/** The setting TRUSTED_PROXIES: addresses and networks, separated by commas. */
export const trustedProxiesSetting = z
  .string()
  .transform((text) =>
    text
      .split(',')
      .map((one) => one.trim())
      .filter(Boolean),
  )
  .pipe(z.array(network).max(100))
  .default([])

/** null: no proxy is trusted. */
export function trustedProxies(networks: readonly string[]): TrustedProxies | null {
  if (networks.length === 0) return null
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', prefix] = network.split('/')
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6'
    if (prefix === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(prefix), family)
  }
  return (address) => {
    const family = isIP(address)
    return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6')
  }
}

/**
 * The part of X-Forwarded-For that trusted proxies vouch for, from the visitor to `peer`, the trusted proxy that connected. Each proxy
 * appends the address that connected to it, so the visitor is the rightmost address that is no trusted proxy. Whatever stands left of it is
 * the visitor's own claim and left out.
 */
export function forwardedChain(peer: string, forwardedFor: string | undefined, trusts: TrustedProxies): string[] {
  const chain = [peer]
  const hops = forwardedFor?.split(',') ?? []
  for (let i = hops.length - 1; i >= 0; i--) {
    const hop = hopAddress((hops[i] as string).trim())
    if (hop === null) break
    chain.unshift(hop)
    if (!trusts(hop)) break
  }
  return chain
}

/** The address of a hop in its canonical spelling; some proxies add a port. null: not an address. */
function hopAddress(hop: string): string | null {
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(hop)?.[1] ?? /^([\d.]+):\d+$/.exec(hop)?.[1] ?? hop
  if (isIP(bare) === 4) return bare
  if (isIP(bare) === 0 || bare.includes('%')) return null
  return plainAddress(new SocketAddress({ address: bare, family: 'ipv6' }).address)
}

/** The scheme that the visitor speaks with the first proxy, by X-Forwarded-Proto. null: the header says nothing usable. */
export function forwardedScheme(forwardedProto: string | undefined): 'http' | 'https' | null {
  switch (forwardedProto?.split(',', 1)[0]?.trim().toLowerCase()) {
    case 'https':
    case 'wss':
      return 'https'
    case 'http':
    case 'ws':
      return 'http'
    default:
      return null
  }
}
