import { visitorOf } from '../../rules/addresses'

const suspicionMs = 30_000
const maxOffenders = 4_096
/**
 * Long compared with the 0.1 s after which a flooding client reconnects, short for a client that shares its address. Behind a balancer
 * without the PROXY protocol all clients share one address, so connections are delayed and never refused.
 */
const holdBackMs = 1_000

/**
 * Addresses whose connections were closed for a flood. A flooding client reconnects at once, and each new handshake costs milliseconds of
 * CPU: for a while connections from these addresses begin later and have lower allowances.
 */
export class Offenders {
  /** Time of the last flood by client (see `visitorOf`), the oldest first. */
  readonly #since = new Map<string, number>()

  note(ip: string, now: number): void {
    const visitor = visitorOf(ip)
    this.#since.delete(visitor)
    this.#since.set(visitor, now)
    if (this.#since.size <= maxOffenders) return
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

  /** Milliseconds for which a new connection from this address is delayed. */
  holdBack(ip: string, now: number): number {
    return this.has(ip, now) ? holdBackMs : 0
  }

  /** Whether the list is empty, so that no address need be looked up. */
  get none(): boolean {
    return this.#since.size === 0
  }

  get size(): number {
    return this.#since.size
  }
}
