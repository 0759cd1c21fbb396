import { createSocket } from 'node:dgram'
import { isIP } from 'node:net'
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'
import { reachOf } from '@/builder/source/address'

export interface OwnAddresses {
  /** Addresses for the DNS records. */
  addresses: string[]
  /** Other addresses of its interfaces: a record with such an address reaches this server too. */
  others?: readonly string[]
  /** configured: set by an operator. private: the machine has no public address of its own. */
  origin: 'configured' | 'interfaces' | 'private'
  /** All interface addresses of this machine: requests to them do not leave it. */
  local: string[]
}

/** Interfaces of container engines, virtual machines and VPNs: visitors do not reach the server through them. */
const internalInterface = /^(lo|docker|br-|veth|cni|flannel|cali|virbr|podman|lxc|lxd|incus|vnet|tap|tun|wg|tailscale|zt|utun|ifb|dummy)/

/** Source addresses of connections to the internet, by family, according to the routing table. null: no route. */
export type OutwardAddresses = readonly (string | null)[]

/**
 * Addresses at which visitors reach this server: those set by an operator, else the public addresses of its interfaces, else the private
 * source address of its internet route (a lab, or a machine behind NAT, whose operator must set the public address). Other private
 * interfaces (VPNs, bridges, management networks) receive no visitors.
 */
export function ownAddresses(configured: readonly string[], outward: OutwardAddresses, interfaces = networkInterfaces()): OwnAddresses {
  const all = Object.entries(interfaces).flatMap(([name, infos = []]) => infos.map((info) => ({ name, ...info })))
  const local = unique(all.map((info) => info.address))
  if (configured.length > 0) return { addresses: unique(configured), origin: 'configured', local }
  const reachable = all.filter((info) => !internalInterface.test(info.name) && !isLinkLocal(info))
  const publicOnes = unique(reachable.filter((info) => reachOf(info.address) === 'public').map((info) => info.address))
  if (publicOnes.length > 0) return { ...chosen(publicOnes, outward), origin: 'interfaces', local }
  // Temporary and unique-local IPv6 addresses of a lab change often; its DNS uses IPv4.
  const privateOnes = unique(reachable.filter((info) => info.family === 'IPv4').map((info) => info.address))
  return { ...chosen(privateOnes, outward), origin: 'private', local }
}

// Visitors use any of several records. If a family has several addresses, use the source address of the internet route only.
function chosen(all: readonly string[], outward: OutwardAddresses): Pick<OwnAddresses, 'addresses' | 'others'> {
  const addresses = [4, 6].flatMap((family) => {
    const own = all.filter((address) => isIP(address) === family)
    return own.find((address) => outward.includes(address)) ?? own[0] ?? []
  })
  return { addresses, others: all.filter((address) => !addresses.includes(address)) }
}

/** Finds the source addresses without sending a packet: a connected UDP socket is bound to the address that would be used. */
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
