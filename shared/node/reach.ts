import { lookup } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import { BlockList, isIP } from 'node:net'

/** A private destination that the operator opens for apps or builds: a network, or one port of an address (which may be this machine's own). */
export interface Reach {
  family: 4 | 6
  /** Network with prefix length. */
  network: string
  /** null: every port, but nothing on this machine. */
  port: number | null
}

/** Private networks, including shared address space (RFC 6598) and multicast. */
export const privateNetworks = {
  4: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '224.0.0.0/4'],
  6: ['fc00::/7', 'ff00::/8'],
} as const
/** Link-local networks contain the metadata services of clouds. They can never be opened. */
export const linkLocal = { 4: '169.254.0.0/16', 6: 'fe80::/10' } as const

const linkLocalAddresses = new BlockList()
linkLocalAddresses.addSubnet('169.254.0.0', 16, 'ipv4')
linkLocalAddresses.addSubnet('fe80::', 10, 'ipv6')

/** Parses `10.0.0.0/8`, `192.168.1.5`, `127.0.0.1:5432`, `[fd00::5]:5432` or `fd00::/64`. null: invalid, or a link-local address. */
export function parseReach(text: string): Reach | null {
  const match = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+)|([0-9a-f:.]+))(?:\/(\d{1,3}))?(?::(\d{1,5}))?$/i.exec(text)
  const address = match?.[1] ?? match?.[2] ?? match?.[3] ?? ''
  const family = isIP(address)
  if (family !== 4 && family !== 6) return null
  const bits = family === 4 ? 32 : 128
  const prefix = match?.[4] === undefined ? bits : Number(match[4])
  const port = match?.[5] === undefined ? null : Number(match[5])
  if (prefix > bits || port === 0 || (port ?? 1) > 65_535 || linkLocalAddresses.check(address, family === 4 ? 'ipv4' : 'ipv6')) return null
  return { family, network: `${address}/${prefix}`, port }
}

/** Resolves the hosts of URLs (proxies, registries) now; unresolvable hosts are omitted. */
export async function reachOfUrls(urls: readonly string[]): Promise<Reach[]> {
  const found = await Promise.all(
    urls
      .filter((text) => URL.canParse(text))
      .map(async (text) => {
        const url = new URL(text)
        const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80)
        const addresses = await lookup(url.hostname.replace(/^\[|\]$/g, ''), { all: true }).catch(() => [])
        return addresses.map(({ address, family }) => parseReach(family === 6 ? `[${address}]:${port}` : `${address}:${port}`))
      }),
  )
  return found.flat().filter((one) => one !== null)
}

/** Nameservers of this machine, including private ones. */
export async function nameservers(): Promise<string[]> {
  const text = await readFile('/etc/resolv.conf', 'utf8').catch(() => '')
  return [...text.matchAll(/^nameserver\s+([0-9a-f:.]+)\s*$/gim)].map((match) => match[1] as string).filter((address) => isIP(address) !== 0)
}
