import { createSocket } from 'node:dgram'
import { isIP } from 'node:net'
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'
import { reachOf } from '@/builder/source/address'

export interface OwnAddresses {
  /** To be set in DNS. */
  addresses: string[]
  /** Other addresses of its interfaces: a record that names one leads here too. */
  others?: readonly string[]
  /** configured: an operator said so. private: the machine has no public address of its own. */
  origin: 'configured' | 'interfaces' | 'private'
  /** All addresses on interfaces of this machine: what is asked of them does not leave it. */
  local: string[]
}

/** Bridges of container engines lead to containers, not to visitors. */
const internalInterface = /^(lo|docker|br-|veth|cni|flannel|cali|virbr|podman|lxc|lxd|incus|vnet|tap|tun|wg|tailscale|zt|utun|ifb|dummy)/

/** Addresses from which this machine would ask the internet, by family: what its routes say. null: there is no such route. */
export type OutwardAddresses = readonly (string | null)[]

/**
 * Addresses under which visitors reach this server: those an operator named, else the public ones of its interfaces, else the private
 * one that its route to the internet leaves from (a lab, or a machine behind NAT, whose operator must name the public address). Other
 * private interfaces (VPNs, bridges, management networks) lead no visitor here.
 */
export function ownAddresses(configured: readonly string[], outward: OutwardAddresses, interfaces = networkInterfaces()): OwnAddresses {
  const all = Object.entries(interfaces).flatMap(([name, infos = []]) => infos.map((info) => ({ name, ...info })))
  const local = unique(all.map((info) => info.address))
  if (configured.length > 0) return { addresses: unique(configured), origin: 'configured', local }
  const reachable = all.filter((info) => !internalInterface.test(info.name) && !isLinkLocal(info))
  const publicOnes = unique(reachable.filter((info) => reachOf(info.address) === 'public').map((info) => info.address))
  if (publicOnes.length > 0) return { ...chosen(publicOnes, outward), origin: 'interfaces', local }
  // Temporary and unique-local IPv6 addresses of a lab come and go; IPv4 is what its DNS holds.
  const privateOnes = unique(reachable.filter((info) => info.family === 'IPv4').map((info) => info.address))
  return { ...chosen(privateOnes, outward), origin: 'private', local }
}

// Several addresses of a family are several records, of which visitors take any: where a route says which one is meant, that one alone.
function chosen(all: readonly string[], outward: OutwardAddresses): Pick<OwnAddresses, 'addresses' | 'others'> {
  const addresses = [4, 6].flatMap((family) => {
    const own = all.filter((address) => isIP(address) === family)
    return own.find((address) => outward.includes(address)) ?? own[0] ?? []
  })
  return { addresses, others: all.filter((address) => !addresses.includes(address)) }
}

/** Asks the routes of this machine, without a packet: a connected UDP socket is bound to the address that would be used. */
export function outwardAddresses(): Promise<OutwardAddresses> {
  return Promise.all([sourceTowards('udp4', '192.0.2.1'), sourceTowards('udp6', '2001:db8::1')])
}

function sourceTowards(type: 'udp4' | 'udp6', far: string): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = createSocket(type)
    const settle = (address: string | null) => {
      socket.close()
      resolve(address)
    }
    socket.once('error', () => settle(null))
    socket.connect(53, far, () => settle(socket.address().address))
  })
}

const isLinkLocal = ({ address, internal }: NetworkInterfaceInfo): boolean => internal || /^(169\.254\.|fe80:)/i.test(address)
const unique = (values: readonly string[]): string[] => [...new Set(values)]
