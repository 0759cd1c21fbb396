import type { CaaRecord } from 'node:dns'
import { Resolver } from 'node:dns/promises'
import { reachOf } from '@/builder/source/address'

/** Result of a DNS query. Failures are distinguished because each has a different fix. */
export type DnsOutcome<T = string> =
  | { kind: 'found'; values: T[] }
  /** The name exists, without records of this type. */
  | { kind: 'no-data' }
  /** NXDOMAIN. */
  | { kind: 'no-name' }
  /** SERVFAIL: the zone's servers fail, or its DNSSEC signatures are invalid. */
  | { kind: 'servfail' }
  | { kind: 'refused' }
  | { kind: 'timeout' }
  | { kind: 'error'; code: string }

export type TextType = 'A' | 'AAAA' | 'CNAME' | 'NS' | 'TXT'

/** DNS queries of one examination; the authoritative servers found are cached for its duration. */
export interface DnsSession {
  /** Follows aliases for every type but CNAME and NS. Never throws. TXT: one string per record. */
  ask(name: string, type: TextType): Promise<DnsOutcome>
  askCaa(name: string): Promise<DnsOutcome<CaaRecord>>
  /** Targets of the name's CNAME chain, in order; empty: no alias. */
  aliases(name: string): Promise<string[]>
}

export interface DnsOptions {
  /**
   * Resolvers as `ip` or `ip:port`, used exclusively: for a split horizon or tests. null: the zone's authoritative servers, which bypasses
   * caches, then the system's resolver.
   */
  servers: readonly string[] | null
  /** Milliseconds per query, including retries. */
  deadlineMs?: number
  /** Milliseconds for all queries of the session. */
  sessionMs?: number
  /** Port of authoritative servers; for tests. */
  authorityPort?: number
}

const maxAliases = 8
const maxAuthorities = 3
/** Maximum values used from one answer: 64 KiB of addresses would all be checked, stored and shown. */
const maxValues = 64

const kinds: Readonly<Record<string, DnsOutcome<never>>> = {
  ENODATA: { kind: 'no-data' },
  ENOTFOUND: { kind: 'no-name' },
  ESERVFAIL: { kind: 'servfail' },
  EREFUSED: { kind: 'refused' },
  ETIMEOUT: { kind: 'timeout' },
}

/**
 * Starts a session with a deadline. Names and the delay of their answers are chosen by outsiders: a hundred labels with a few seconds each
 * would block one of the few concurrent examinations for an hour.
 */
export function openDns(options: DnsOptions): DnsSession {
  const { servers, deadlineMs = 5_000, sessionMs = 25_000, authorityPort } = options
  const until = Date.now() + sessionMs
  const recursive = resolverFor(servers, deadlineMs)
  const zones = new Map<string, Promise<Resolver | null>>()
  const inTime = async <T>(question: () => Promise<T[]>): Promise<DnsOutcome<T>> => {
    const leftMs = until - Date.now()
    return leftMs > 0 ? settle(Math.min(deadlineMs, leftMs), question()) : { kind: 'timeout' }
  }

  /** The authoritative servers of the closest zone. null: unknown, or not to be queried. */
  function authorityOf(name: string): Promise<Resolver | null> {
    if (servers && authorityPort === undefined) return Promise.resolve(null)
    let found = zones.get(name)
    if (!found) {
      found = findAuthority(name)
      zones.set(name, found)
    }
    return found
  }
  async function findAuthority(name: string): Promise<Resolver | null> {
    const hosts = await inTime(() => recursive.resolveNs(name))
    const parent = name.slice(name.indexOf('.') + 1)
    if (hosts.kind !== 'found') return name.includes('.') && parent.includes('.') ? authorityOf(parent) : null
    const found = await Promise.all(hosts.values.slice(0, maxAuthorities).map((host) => inTime(() => recursive.resolve4(host))))
    const named = found.flatMap((one) => (one.kind === 'found' ? one.values.slice(0, 1) : []))
    // The zone's owner chooses these addresses: never query servers in our private networks. The recursive resolver may still answer.
    const addresses = named.filter((address) => authorityPort !== undefined || reachOf(address) === 'public')
    if (addresses.length === 0) return null
    return resolverFor(
      addresses.map((address) => (authorityPort === undefined ? address : `${address}:${authorityPort}`)),
      deadlineMs,
    )
  }
  async function direct<T>(name: string, work: (resolver: Resolver) => Promise<T[]>): Promise<DnsOutcome<T>> {
    const authority = await authorityOf(name)
    const outcome = authority ? await inTime(() => work(authority)) : null
    // A firewall may allow queries to our own resolver only: fall back to it.
    if (outcome && ['found', 'no-data', 'no-name'].includes(outcome.kind)) return outcome
    return inTime(() => work(recursive))
  }
  async function following<T>(name: string, work: (resolver: Resolver, name: string) => Promise<T[]>, depth = 0): Promise<DnsOutcome<T>> {
    const outcome = await direct(name, (resolver) => work(resolver, name))
    if (outcome.kind !== 'no-data' || depth >= maxAliases) return outcome
    // An authoritative server does not follow aliases into other zones.
    const alias = await direct(name, (resolver) => resolver.resolveCname(name))
    const next = alias.kind === 'found' ? alias.values[0] : undefined
    return next ? following(next.toLowerCase(), work, depth + 1) : outcome
  }
  return {
    ask: (name, type) =>
      type === 'CNAME' || type === 'NS' ? direct(name, (r) => askText(r, name, type)) : following(name, (r, n) => askText(r, n, type)),
    askCaa: (name) => following(name, (resolver, at) => resolver.resolveCaa(at)),
    async aliases(name) {
      const chain: string[] = []
      for (let at: string | undefined = name; at && chain.length < maxAliases; ) {
        const current: string = at
        const alias = await direct(current, (resolver) => resolver.resolveCname(current))
        at = alias.kind === 'found' ? alias.values[0]?.toLowerCase() : undefined
        if (at) chain.push(at)
      }
      return chain
    },
  }
}

function resolverFor(servers: readonly string[] | null, deadlineMs: number): Resolver {
  const tries = 2
  const resolver = new Resolver({ timeout: Math.max(250, Math.floor(deadlineMs / (tries * 2))), tries })
  if (servers) resolver.setServers(servers)
  return resolver
}

async function askText(resolver: Resolver, name: string, type: TextType): Promise<string[]> {
  switch (type) {
    case 'A':
      return resolver.resolve4(name)
    case 'AAAA':
      return resolver.resolve6(name)
    case 'CNAME':
      return resolver.resolveCname(name)
    case 'NS':
      return resolver.resolveNs(name)
    case 'TXT':
      // Strings of one record are joined to one value (convention of RFC 7208 §3.3).
      return (await resolver.resolveTxt(name)).map((chunks) => chunks.join(''))
  }
}

/** Result of a query; a timeout after the deadline. */
async function settle<T>(deadlineMs: number, asked: Promise<T[]>): Promise<DnsOutcome<T>> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<DnsOutcome<T>>((resolve) => {
    timer = setTimeout(() => resolve({ kind: 'timeout' }), deadlineMs)
  })
  const answered = asked.then(
    (values): DnsOutcome<T> => (values.length > 0 ? { kind: 'found', values: values.slice(0, maxValues) } : { kind: 'no-data' }),
    (error: NodeJS.ErrnoException): DnsOutcome<T> => kinds[error.code ?? ''] ?? { kind: 'error', code: error.code ?? String(error) },
  )
  try {
    return await Promise.race([answered, late])
  } finally {
    clearTimeout(timer)
  }
}
