import { isIPv6 } from 'node:net'
import { parse } from 'tldts'
import type { DnsRecord, DomainView } from '@/shared/domains'
import type { OwnAddresses } from './doctor/own-addresses'
import { type DomainName, relativeName } from './hostname'

/** The facts from which a domain's DNS records are derived. */
export interface RecordSource {
  name: DomainName
  /** Addresses under which visitors reach this server. */
  addresses: readonly string[]
  /** The project's own host below the platform's base domain. */
  projectHost: string
}

export interface ExpectedRecords {
  records: DnsRecord[]
  alternatives: DomainView['alternatives']
}

/** Notes shown before the user sets addresses that the machine detected itself. */
export function addressNotes(own: OwnAddresses): string[] {
  if (own.addresses.length === 0) return ['No address of this server is known. Its operator must name it: EDGE_PUBLIC_ADDRESSES.']
  if (own.origin !== 'private') return []
  return [
    `Under which address do visitors reach this server? It has private ones only, which the internet does not reach; ${own.addresses.join(' and ')} is the one its own traffic leaves from. Its operator names the public one: EDGE_PUBLIC_ADDRESSES.`,
  ]
}

export function recordOf(type: DnsRecord['type'], name: string, value: string, registrable: string): DnsRecord {
  return { type, name, host: relativeName(name, registrable), value }
}

/** A and AAAA records for every address of this server. */
export const addressRecords = ({ name, addresses }: Pick<RecordSource, 'name' | 'addresses'>): DnsRecord[] =>
  addresses.map((address) => recordOf(isIPv6(address) ? 'AAAA' : 'A', name.hostname, address, name.registrable))

/** Whether names below `host` resolve publicly: a CNAME cannot point to an installation on `localhost`. */
function isPublicHost(host: string): boolean {
  const { isIcann, domain } = parse(host)
  return isIcann === true && domain !== null
}

/**
 * The DNS records to set. An apex needs addresses, because a CNAME must not coexist with SOA and NS (RFC 1034 §3.6.2). A subdomain or
 * wildcard gets a CNAME, which stays valid when the server's address changes.
 */
export function expectedRecords(source: RecordSource): ExpectedRecords {
  const { name, projectHost } = source
  const byAddress = addressRecords(source)
  if (!isPublicHost(projectHost)) return { records: byAddress, alternatives: [] }
  const alias = (type: 'CNAME' | 'ALIAS') => [recordOf(type, name.hostname, projectHost, name.registrable)]
  if (name.kind === 'apex') {
    const when = 'If your DNS host has ALIAS, ANAME or CNAME flattening, it follows this server when it moves:'
    return { records: byAddress, alternatives: [{ when, records: alias('ALIAS') }] }
  }
  const alternatives = byAddress.length > 0 ? [{ when: 'If you cannot set a CNAME there:', records: byAddress }] : []
  return { records: alias('CNAME'), alternatives }
}
