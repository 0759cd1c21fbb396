import type { CaaRecord } from 'node:dns'
import { Resolver } from 'node:dns/promises'
import { reachOf } from '@/builder/source/address'

/** What DNS says to one question; every way in which it can fail is told apart, because each has another remedy. */
export type DnsOutcome<T = string> =
  | { kind: 'found'; values: T[] }
  /** The name exists, without records of this type. */
  | { kind: 'no-data' }
  /** NXDOMAIN. */
  | { kind: 'no-name' }
  /** SERVFAIL: the zone's servers do not answer properly, or its signatures do not hold. */
  | { kind: 'servfail' }
  | { kind: 'refused' }
  | { kind: 'timeout' }
  | { kind: 'error'; code: string }

export type TextType = 'A' | 'AAAA' | 'CNAME' | 'NS' | 'TXT'

/** One examination's view of DNS: what was learned about who is in charge of which zone is kept as long as it. */
export interface DnsSession {
  /** Follows aliases for every type but CNAME and NS. Never throws. TXT: one string a record. */
  ask(name: string, type: TextType): Promise<DnsOutcome>
  askCaa(name: string): Promise<DnsOutcome<CaaRecord>>
  /** Canonical names the name leads to, in order; empty when it is no alias. */
  aliases(name: string): Promise<string[]>
}

export interface DnsOptions {
  /**
   * `ip` or `ip:port`. These and no others are believed: a split horizon, or a test. null: the system's, and then the servers in
   * charge of the zone themselves, so that what caches still remember does not matter.
   */
  servers: readonly string[] | null
  /** Milliseconds for one question, retries and all. */
  deadlineMs?: number
  /** Milliseconds for all questions of the session. */
  sessionMs?: number
  /** Port of servers in charge of a zone; for tests. */
  authorityPort?: number
}

const maxAliases = 8
const maxAuthorities = 3
/** Of one answer: 64 KiB of addresses help nobody, and each would be judged, kept and shown. */
const maxValues = 64

const kinds: Readonly<Record<string, DnsOutcome<never>>> = {
  ENODATA: { kind: 'no-data' },
  ENOTFOUND: { kind: 'no-name' },
  ESERVFAIL: { kind: 'servfail' },
  EREFUSED: { kind: 'refused' },
  ETIMEOUT: { kind: 'timeout' },
}

/**
 * The clock of the session runs from here. The names, and how slowly each is answered, are chosen by strangers: a hundred labels at a few
 * seconds each would hold one of the few examinations for an hour, and with it everybody else's.
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

  /** Servers in charge of the closest zone, or null: unknown, or they are not to be asked. */
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
    // Whoever owns a zone chooses where its servers are; into our own networks nobody's questions are sent. The recursive one may know.
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
    // A firewall may let us reach our own resolver only.
    if (outcome && ['found', 'no-data', 'no-name'].includes(outcome.kind)) return outcome
    return inTime(() => work(recursive))
  }
  async function following<T>(name: string, work: (resolver: Resolver, name: string) => Promise<T[]>, depth = 0): Promise<DnsOutcome<T>> {
    const outcome = await direct(name, (resolver) => work(resolver, name))
    if (outcome.kind !== 'no-data' || depth >= maxAliases) return outcome
    // A server in charge of one zone does not follow aliases into another.
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
      // A record of several strings is one value (RFC 7208 §3.3 for the convention).
      return (await resolver.resolveTxt(name)).map((chunks) => chunks.join(''))
  }
}

/** A question's outcome, in time or as a timeout. */
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
