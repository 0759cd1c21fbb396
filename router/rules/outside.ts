import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import type { OutsideTarget } from '../gate/gate'

const lookupTimeoutMs = 3_000
const rememberedMs = 30_000
const failureMs = 3_000
const maxRemembered = 1_000

/** Addresses of a hostname; rejects when there are none. */
export type Resolve = (hostname: string) => Promise<string[]>

interface Allowed {
  /** Without `*.`. */
  name: string
  wildcard: boolean
  port: number | null
  privateNetwork: boolean
}

export type OutsideResult = { target: OutsideTarget } | { problem: string }

const systemResolve: Resolve = async (hostname) => (await lookup(hostname, { all: true })).map(({ address }) => address)

/**
 * Hosts outside the route table that the operator allows rewrites to: `api.example.com`, `*.example.com`, `api.example.com:8443`, an IP
 * literal; `private:billing.internal` if the name may resolve to a private network. A name is resolved, all its addresses are checked, and
 * the connection uses a checked address.
 */
export class OutsideHosts {
  readonly #resolve: Resolve
  #allowed: Allowed[] = []
  readonly #known = new Map<string, { until: number; result: Promise<string[]> }>()

  constructor(resolve: Resolve = systemResolve) {
    this.#resolve = resolve
  }

  allow(entries: readonly string[]): void {
    this.#allowed = entries.flatMap((entry) => readAllowed(entry) ?? [])
  }

  /** `authority`: hostname with optional port. */
  async find(scheme: 'http' | 'https', authority: string, now: number): Promise<OutsideResult> {
    const place = readAuthority(authority)
    if (place === null) return { problem: `"${authority}" is no address that a rewrite can lead to.` }
    const port = place.port ?? (scheme === 'https' ? 443 : 80)
    const usualPort = place.port === null || port === (scheme === 'https' ? 443 : 80)
    const allowing = this.#allowed.filter((one) => permits(one, place.hostname, port, usualPort))
    if (allowing.length === 0)
      return { problem: `Rewrites to ${authority} are not allowed on this machine. Its operator lists hosts in EDGE_REWRITE_HOSTS.` }
    const addresses = isIP(place.hostname) ? [place.hostname] : await this.#addresses(place.hostname, now)
    const [first] = addresses
    if (first === undefined) return { problem: `The name ${place.hostname}, to which this path leads, cannot be resolved.` }
    // One matching entry that allows private networks is enough, even if a wildcard entry without that permission also matches.
    if (!allowing.some((one) => one.privateNetwork) && addresses.some((address) => !isPublic(address)))
      return { problem: `The name ${place.hostname}, to which this path leads, points into a private network.` }
    return { target: { scheme, address: first, port, hostname: place.hostname } }
  }

  #addresses(hostname: string, now: number): Promise<string[]> {
    const known = this.#known.get(hostname)
    if (known && known.until > now) return known.result
    if (this.#known.size >= maxRemembered) this.#known.clear()
    const entry = { until: now + rememberedMs, result: this.#resolveWithin(hostname) }
    this.#known.set(hostname, entry)
    void entry.result.then((addresses) => {
      if (addresses.length === 0) entry.until = now + failureMs
    })
    return entry.result
  }

  #resolveWithin(hostname: string): Promise<string[]> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve([]), lookupTimeoutMs)
      const done = (addresses: string[]) => {
        clearTimeout(timer)
        resolve(addresses.filter((address) => isIP(address) !== 0))
      }
      this.#resolve(hostname).then(done, () => done([]))
    })
  }
}

function readAllowed(entry: string): Allowed | null {
  const text = entry.trim().toLowerCase()
  const forced = text.startsWith('private:')
  const bare = forced ? text.slice('private:'.length) : text
  const wildcard = bare.startsWith('*.')
  const place = readAuthority(wildcard ? bare.slice(2) : bare)
  return place && { name: place.hostname, wildcard, port: place.port, privateNetwork: forced || isIP(place.hostname) !== 0 }
}

function readAuthority(authority: string): { hostname: string; port: number | null } | null {
  const found = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9_.-]+))(?::(\d{1,5}))?$/i.exec(authority)
  const hostname = (found?.[1] ?? found?.[2] ?? '').toLowerCase().replace(/\.$/, '')
  const port = found?.[3] === undefined ? null : Number(found[3])
  if (hostname === '' || (found?.[1] !== undefined && isIP(hostname) !== 6) || (port !== null && (port < 1 || port > 65_535))) return null
  return { hostname, port }
}

function permits(allowed: Allowed, hostname: string, port: number, usualPort: boolean): boolean {
  const named = allowed.wildcard ? hostname.endsWith(`.${allowed.name}`) : hostname === allowed.name
  return named && (allowed.port === null ? usualPort : allowed.port === port)
}

/**
 * Whether an address is public: not private, loopback, link-local, carrier-grade NAT or reserved, nor an IPv4-mapped form of such an
 * address.
 */
function isPublic(address: string): boolean {
  try {
    return ipaddr.process(address).range() === 'unicast'
  } catch {
    return false
  }
}
