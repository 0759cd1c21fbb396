import { Resolver } from 'node:dns/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { ChallengeError } from '../problems'

const queryTimeoutMs = 3_000
const pauseMs = 2_000
const firstPauseMs = 200
const maxAliases = 4
/** Maximum name servers queried, as many as the DNS root has: a zone could list a thousand. */
const maxServers = 13

function resolver(servers: readonly string[]): Resolver {
  const made = new Resolver({ timeout: queryTimeoutMs, tries: 2 })
  if (servers.length > 0) made.setServers([...servers])
  return made
}

/**
 * The name at which to create the record: the name itself, or the target of its CNAME. Users may delegate `_acme-challenge` to a separate
 * zone by CNAME, which the CA follows (RFC 8555 §8.4).
 */
export async function recordNameFor(name: string, servers: readonly string[]): Promise<string> {
  const dns = resolver(servers)
  let current = name
  for (let i = 0; i < maxAliases; i++) {
    const [target] = await dns.resolveCname(current).catch(() => [])
    if (!target) return current
    current = target.toLowerCase().replace(/\.$/, '')
  }
  return current
}

/** Addresses of the authoritative servers of the name's zone; empty: unknown. */
async function authoritativeServers(name: string, dns: Resolver, until: number): Promise<string[]> {
  const labels = name.split('.')
  for (let i = 0; i < labels.length - 1 && Date.now() < until; i++) {
    const hosts = await dns.resolveNs(labels.slice(i).join('.')).catch(() => [])
    if (hosts.length === 0) continue
    const addresses = await Promise.all(hosts.slice(0, maxServers).map((host) => dns.resolve4(host).catch(() => [])))
    return addresses.flat().slice(0, maxServers)
  }
  return []
}

/**
 * Waits until every authoritative server of the zone returns the value; if they are unknown, until the resolvers do.
 * @throws ChallengeError at the deadline, naming the servers that do not return it
 */
export async function waitUntilVisible(
  name: string,
  value: string,
  options: { servers: readonly string[]; deadlineMs: number; signal: AbortSignal },
): Promise<void> {
  const { signal } = options
  const until = Date.now() + options.deadlineMs
  const own = resolver(options.servers)
  const authorities = await authoritativeServers(name, own, until)
  const asked =
    authorities.length > 0 ? authorities.map((address) => ({ address, dns: resolver([address]) })) : [{ address: 'the resolver', dns: own }]
  let missing = asked
  for (let pause = firstPauseMs; ; pause = Math.min(pause * 2, pauseMs)) {
    const shown = await Promise.all(missing.map(({ dns }) => shows(dns, name, value)))
    missing = missing.filter((_, i) => !shown[i])
    if (missing.length === 0) return
    if (Date.now() > until) {
      const names = missing.map((one) => one.address).join(', ')
      throw new ChallengeError(`The TXT record ${name} did not appear at ${names} within ${Math.round(options.deadlineMs / 1000)} s.`, {
        nextAction: 'Check at the DNS host that the zone is the one that is delegated to, then try again.',
      })
    }
    await wait(pause, undefined, { signal })
  }
}

async function shows(dns: Resolver, name: string, value: string): Promise<boolean> {
  const records = await dns.resolveTxt(name).catch(() => [])
  return records.some((parts) => parts.join('') === value)
}
