import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { reachOf } from '@/builder/source/address'
import { withDeadline } from '@/shared/node/deadline'
import { DnsProviderError } from './provider'

const lookupDeadlineMs = 15_000

/**
 * The address to connect to for a hostname entered by a user: resolved once, checked and pinned, so that later DNS answers (DNS rebinding)
 * have no effect. One forbidden address rejects the hostname.
 * @throws DnsProviderError
 */
export async function pinHost(hostname: string, allowPrivateNetwork: boolean): Promise<string> {
  const host = hostname.replace(/^\[|\]$/g, '')
  const look = () => withDeadline(`Looking up ${host}`, lookupDeadlineMs, () => lookup(host, { all: true })).catch(() => [])
  const addresses = isIP(host) ? [host] : (await look()).map((one) => one.address)
  const [first] = addresses
  if (first === undefined) throw new DnsProviderError(`the host ${host} was not found`)
  const reaches = addresses.map(reachOf)
  if (reaches.includes('never')) throw new DnsProviderError(`the host ${host} leads to an address that is never connected to`)
  if (reaches.includes('private') && !allowPrivateNetwork)
    throw new DnsProviderError(`the host ${host} leads into a private network; an operator of this installation may set that up`)
  return first
}
