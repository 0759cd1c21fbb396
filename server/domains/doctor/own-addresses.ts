import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'
import { reachOf } from '@/builder/source/address'

export interface OwnAddresses {
  addresses: string[]
  /** configured: an operator said so. private: the machine has no public address of its own. */
  origin: 'configured' | 'interfaces' | 'private'
  /** All addresses on interfaces of this machine: what is asked of them does not leave it. */
  local: string[]
}

/** Bridges of container engines lead to containers, not to visitors. */
const internalInterface = /^(lo|docker|br-|veth|cni|flannel|cali|virbr|podman)/

/**
 * Addresses under which visitors reach this server: those an operator named, else the public ones of its interfaces, else the private
 * ones (a lab, or a machine behind NAT, whose operator must name the public address).
 */
export function ownAddresses(configured: readonly string[], interfaces = networkInterfaces()): OwnAddresses {
  const all = Object.entries(interfaces).flatMap(([name, infos = []]) => infos.map((info) => ({ name, ...info })))
  const local = all.map((info) => info.address)
  if (configured.length > 0) return { addresses: [...configured], origin: 'configured', local }
  const outward = all.filter((info) => !internalInterface.test(info.name) && !isLinkLocal(info))
  const publicOnes = outward.filter((info) => reachOf(info.address) === 'public').map((info) => info.address)
  if (publicOnes.length > 0) return { addresses: unique(publicOnes), origin: 'interfaces', local }
  // Temporary and unique-local IPv6 addresses of a lab come and go; IPv4 is what its DNS holds.
  return { addresses: unique(outward.filter((info) => info.family === 'IPv4').map((info) => info.address)), origin: 'private', local }
}

const isLinkLocal = ({ address, internal }: NetworkInterfaceInfo): boolean => internal || /^(169\.254\.|fe80:)/i.test(address)
const unique = (values: string[]): string[] => [...new Set(values)]
