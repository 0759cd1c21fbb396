import { randomBytes } from 'node:crypto'
import type { CaaRecord } from 'node:dns'
import type { ChallengeBoard } from '../../link/challenges'
import { claimName, type RivalClaim } from '../claims'
import type { DomainName } from '../hostname'
import type { DnsOutcome, DnsSession } from './dns'
import type { OwnAddresses } from './own-addresses'
import { type Visit, visit } from './reach'

/** Facts about a domain that are known before any query. */
export interface Subject {
  name: DomainName
  projectHost: string
  token: string
  rival: RivalClaim
  certificateMode: 'automatic' | 'uploaded' | 'off'
  hasDnsProvider: boolean
}

/** Wildcards and domains with a DNS provider use a DNS challenge, so the CA need not reach this server. */
export const isProvedByDns = ({ name, hasDnsProvider }: Pick<Subject, 'name' | 'hasDnsProvider'>): boolean =>
  name.kind === 'wildcard' || hasDnsProvider

/** CAA records of the closest ancestor that has any (RFC 8659 §3). */
export interface CaaFacts {
  /** Name at which records were found or the query failed; null: none up to the root. */
  at: string | null
  outcome: DnsOutcome<CaaRecord>
}

/** All facts that the checks use, collected once. */
export interface Facts extends Subject {
  own: OwnAddresses
  /** The name whose addresses were queried; for a wildcard, a random name below it that has no records of its own. */
  probed: string
  zone: DnsOutcome
  a: DnsOutcome
  aaaa: DnsOutcome
  aliases: string[]
  claimTxt: DnsOutcome | null
  caa: CaaFacts | null
  /** CA domains for CAA records; empty: unknown. */
  issuers: readonly string[]
  http: Visit[]
  https: Visit[] | null
}

export interface FactSources {
  dns: DnsSession
  own: OwnAddresses
  issuers: readonly string[]
  /** null: this process has no router, so reachability is not checked. */
  board: ChallengeBoard | null
  ports: { http: number; https: number | null }
  visitDeadlineMs?: number
}

/** Maximum addresses visited per name. */
const maxVisits = 6

export async function gatherFacts(subject: Subject, sources: FactSources): Promise<Facts> {
  const { dns, own, issuers } = sources
  const { name } = subject
  const probed = name.kind === 'wildcard' ? `switchyard-check-${randomBytes(4).toString('hex')}.${name.base}` : name.base
  const [zone, a, aaaa, aliases, claimTxt, caa] = await Promise.all([
    dns.ask(name.registrable, 'NS'),
    dns.ask(probed, 'A'),
    dns.ask(probed, 'AAAA'),
    dns.aliases(probed),
    subject.rival === 'none' ? null : dns.ask(claimName(name), 'TXT'),
    subject.certificateMode === 'automatic' ? findCaa(dns, name.base) : null,
  ])
  const found = [...valuesOf(a), ...valuesOf(aaaa)]
  const visits = await visitAll(probed, found.slice(0, maxVisits), sources)
  return { ...subject, own, issuers, probed, zone, a, aaaa, aliases, claimTxt, caa, ...visits }
}

export const valuesOf = <T>(outcome: DnsOutcome<T>): T[] => (outcome.kind === 'found' ? outcome.values : [])

/** RFC 8659 §3: queries the name itself, then each parent, without the root. */
async function findCaa(dns: DnsSession, base: string): Promise<CaaFacts> {
  for (let at = base; ; at = at.slice(at.indexOf('.') + 1)) {
    const outcome = await dns.askCaa(at)
    if (outcome.kind !== 'no-data' && outcome.kind !== 'no-name') return { at, outcome }
    if (!at.includes('.')) return { at: null, outcome }
  }
}

async function visitAll(hostname: string, addresses: string[], sources: FactSources): Promise<Pick<Facts, 'http' | 'https'>> {
  const { board, ports, own } = sources
  if (!board || addresses.length === 0) return { http: [], https: null }
  // Same form as the CA's request: a server that answers ours also answers the CA's.
  const [token, expected] = [`switchyard-${randomBytes(16).toString('hex')}`, randomBytes(16).toString('hex')]
  const withdraw = await board.offerHttp(token, expected)
  try {
    const plan = {
      hostname,
      path: `/.well-known/acme-challenge/${token}`,
      expected,
      own: [...own.addresses, ...(own.others ?? [])],
      deadlineMs: sources.visitDeadlineMs ?? 5_000,
    }
    const visitBy = (scheme: 'http' | 'https', port: number) => Promise.all(addresses.map((address) => visit(address, { ...plan, scheme, port })))
    const [http, https] = await Promise.all([visitBy('http', ports.http), ports.https === null ? null : visitBy('https', ports.https)])
    return { http, https }
  } finally {
    await withdraw()
  }
}
