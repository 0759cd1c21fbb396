import type { RequestFacts } from '../gate/gate'
import type { LiveRoute } from '../match/host-table'

/** Of the targets that are remembered: visitors write them as long as they like. */
const maxTotalLength = 8_000_000
const maxTargets = 10_000
/** Ways to write the host of one deployment; more are nobody's habit. */
const maxDoors = 16

/** How the visitor came. */
export type Way = Pick<RequestFacts, 'scheme' | 'authority'>

/** Addresses of one deployment by one scheme and one way to write the host, each with the time until which it is passed. */
interface Door {
  readonly scheme: string
  readonly authority: string
  readonly personal: boolean
  readonly until: Map<string, number>
}

/**
 * Addresses whose answers turned out not to be storable: for a while nobody waits for them, and nobody looks at them. Looked at for every
 * request that is forwarded, so nothing is put together to find one.
 */
export class Passes {
  readonly #doors = new Map<string, Door[]>()
  readonly #passMs: number
  #targets = 0
  #length = 0

  constructor(options: { passMs?: number } = {}) {
    this.#passMs = options.passMs ?? 10_000
  }

  /** Whether the address is passed at the moment. `target`: path and query as the instance is asked. */
  has(route: LiveRoute, way: Way, target: string, personal: boolean, now: number): boolean {
    const until = this.#find(route, way, personal)?.until.get(target)
    return until !== undefined && until > now
  }

  note(route: LiveRoute, way: Way, target: string, personal: boolean, now: number): void {
    if (this.#targets >= maxTargets || this.#length + target.length > maxTotalLength) this.#clear()
    const { until } = this.#find(route, way, personal) ?? this.#open(route, way, personal)
    if (!until.has(target)) {
      this.#targets++
      this.#length += target.length
    }
    until.set(target, now + this.#passMs)
  }

  /** What it says can be stored after all. */
  forget(route: LiveRoute, way: Way, target: string, personal: boolean): void {
    if (!this.#find(route, way, personal)?.until.delete(target)) return
    this.#targets--
    this.#length -= target.length
  }

  #find({ deploymentId, projectId }: LiveRoute, { scheme, authority }: Way, personal: boolean): Door | undefined {
    const doors = this.#doors.get(deploymentId ?? projectId)
    if (doors === undefined) return undefined
    for (const door of doors) if (door.personal === personal && door.scheme === scheme && door.authority === authority) return door
    return undefined
  }

  #open({ deploymentId, projectId }: LiveRoute, { scheme, authority }: Way, personal: boolean): Door {
    const door: Door = { scheme, authority, personal, until: new Map() }
    const key = deploymentId ?? projectId
    const doors = this.#doors.get(key)
    if (doors === undefined) this.#doors.set(key, [door])
    else {
      if (doors.length >= maxDoors) for (const gone of doors.splice(0, 1)) this.#discount(gone)
      doors.push(door)
    }
    return door
  }

  #discount(door: Door): void {
    for (const target of door.until.keys()) {
      this.#targets--
      this.#length -= target.length
    }
  }

  #clear(): void {
    this.#doors.clear()
    this.#targets = this.#length = 0
  }
}
