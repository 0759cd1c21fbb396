import { visitorOf } from '../../rules/addresses'

const suspicionMs = 30_000
const mostOffenders = 4_096
/**
 * Much beside the tenth of a second in which who is cut is back, and little for a visitor who shares the address: behind a balancer that
 * does not tell us addresses, everybody does, so nobody is ever refused for it.
 */
const holdBackMs = 1_000

/**
 * Addresses whose connections were ended for a flood. Who is cut comes back at once, and a handshake and what a connection may do before
 * it is cut are milliseconds of everybody's time: for a while connections from there begin later and may do little.
 */
export class Offenders {
  /** By visitor (see `visitorOf`) since when, the oldest first. */
  readonly #since = new Map<string, number>()

  note(ip: string, now: number): void {
    const visitor = visitorOf(ip)
    this.#since.delete(visitor)
    this.#since.set(visitor, now)
    if (this.#since.size <= mostOffenders) return
    for (const oldest of this.#since.keys()) {
      this.#since.delete(oldest)
      return
    }
  }

  has(ip: string, now: number): boolean {
    if (this.#since.size === 0) return false
    const visitor = visitorOf(ip)
    const since = this.#since.get(visitor)
    if (since === undefined) return false
    if (now - since < suspicionMs) return true
    this.#since.delete(visitor)
    return false
  }

  /** How many milliseconds a new connection from there is to wait before anything is done for it. */
  holdBack(ip: string, now: number): number {
    return this.has(ip, now) ? holdBackMs : 0
  }

  /** Nobody is suspected: no address need be asked for. */
  get none(): boolean {
    return this.#since.size === 0
  }

  get size(): number {
    return this.#since.size
  }
}
