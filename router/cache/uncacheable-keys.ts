import type { RequestFacts } from '../gate/gate'
import type { LiveRoute } from '../match/host-table'

/** Bound on the characters of all remembered targets, which clients choose. */
const maxTotalLength = 8_000_000
const maxTargets = 10_000
/** Maximum spellings of the host remembered per deployment. */
const maxGroups = 16

/** Scheme and authority of a request. */
export type ClientOrigin = Pick<RequestFacts, 'scheme' | 'authority'>

/** Targets of one deployment under one scheme and spelling of the host, each with the time until which it counts as uncacheable. */
interface KeyGroup {
  readonly scheme: string
  readonly authority: string
  readonly personal: boolean
  readonly until: Map<string, number>
}

/**
 * Addresses whose answers could not be stored: for a while requests neither wait for each other there nor look in the store. Consulted for
 * every forwarded request, so a lookup allocates nothing.
 */
export class UncacheableKeys {
  readonly #groups = new Map<string, KeyGroup[]>()
  readonly #ttlMs: number
  #targets = 0
  #length = 0

  constructor(options: { ttlMs?: number } = {}) {
    this.#ttlMs = options.ttlMs ?? 10_000
  }

  /** Whether the address counts as uncacheable now. `target`: path and query as sent to the instance. */
  has(route: LiveRoute, client: ClientOrigin, target: string, personal: boolean, now: number): boolean {
    const until = this.#find(route, client, personal)?.until.get(target)
    return until !== undefined && until > now
  }

  note(route: LiveRoute, client: ClientOrigin, target: string, personal: boolean, now: number): void {
    if (this.#targets >= maxTargets || this.#length + target.length > maxTotalLength) this.#clear()
    const { until } = this.#find(route, client, personal) ?? this.#open(route, client, personal)
    if (!until.has(target)) {
      this.#targets++
      this.#length += target.length
    }
    until.set(target, now + this.#ttlMs)
  }

  /** Forgets an address whose answer could be stored. */
  forget(route: LiveRoute, client: ClientOrigin, target: string, personal: boolean): void {
    if (!this.#find(route, client, personal)?.until.delete(target)) return
    this.#targets--
    this.#length -= target.length
  }

  #find({ deploymentId, projectId }: LiveRoute, { scheme, authority }: ClientOrigin, personal: boolean): KeyGroup | undefined {
    const groups = this.#groups.get(deploymentId ?? projectId)
    if (groups === undefined) return undefined
    for (const group of groups) if (group.personal === personal && group.scheme === scheme && group.authority === authority) return group
    return undefined
  }

  #open({ deploymentId, projectId }: LiveRoute, { scheme, authority }: ClientOrigin, personal: boolean): KeyGroup {
    const group: KeyGroup = { scheme, authority, personal, until: new Map() }
    const key = deploymentId ?? projectId
    const groups = this.#groups.get(key)
    if (groups === undefined) this.#groups.set(key, [group])
    else {
      if (groups.length >= maxGroups) for (const gone of groups.splice(0, 1)) this.#discount(gone)
      groups.push(group)
    }
    return group
  }

  #discount(group: KeyGroup): void {
    for (const target of group.until.keys()) {
      this.#targets--
      this.#length -= target.length
    }
  }

  #clear(): void {
    this.#groups.clear()
    this.#targets = this.#length = 0
  }
}
