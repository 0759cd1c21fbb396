/** A token bucket: sized for the occasional needs of an honest client, exhausted by a flood. */
class Bucket {
  readonly #capacity: number
  readonly #perSecond: number
  #left: number
  #since = 0

  constructor(capacity: number, perSecond: number) {
    this.#capacity = capacity
    this.#perSecond = perSecond
    this.#left = capacity
  }

  take(now: number): boolean {
    if (this.#since === 0) this.#since = now
    const earned = Math.floor(((now - this.#since) * this.#perSecond) / 1000)
    if (earned > 0) {
      this.#left = Math.min(this.#capacity, this.#left + earned)
      this.#since = now
    }
    return --this.#left >= 0
  }
}

/** Burst capacity of each bucket. A browser that leaves a page cancels all its requests at once, possibly several times. */
const trusted = { resets: 400, idle: 1_000 }
/** The allowance for addresses that have just flooded: enough for an honest client that shares the address. */
const suspected = { resets: 20, idle: 100 }
const resetsPerSecond = 40
const idlePerSecond = 100
const windowAllowance = 2_000
const windowPerFrame = 4

/**
 * Limits frames that are cheap for a client and expensive for the router (RFC 9113 §10.5): streams that the client cancels (CVE-2023-44487)
 * or makes the router cancel (CVE-2025-8671), and frames without effect. A method returns false when the client has exceeded the allowance.
 */
export class FloodGuard {
  readonly #resets: Bucket
  /** PING, SETTINGS, PRIORITY, empty DATA and unknown frames. */
  readonly #idle: Bucket
  #windowCredit = windowAllowance

  /** `suspect`: the address flooded recently (see `Offenders`). */
  constructor(suspect: boolean) {
    const allowance = suspect ? suspected : trusted
    this.#resets = new Bucket(allowance.resets, resetsPerSecond)
    this.#idle = new Bucket(allowance.idle, idlePerSecond)
  }

  /** Counts a stream that ended before its answer: reset by the client, or by the router because of a client error. */
  reset(): boolean {
    return this.#resets.take(Date.now())
  }

  /** Counts a frame without effect. */
  idleFrame(): boolean {
    return this.#idle.take(Date.now())
  }

  /** Counts a WINDOW_UPDATE. Each DATA frame sent and each request earns credit for some of them. */
  windowUpdate(): boolean {
    return --this.#windowCredit >= 0
  }

  earnWindowUpdates(): void {
    if (this.#windowCredit < windowAllowance) this.#windowCredit += windowPerFrame
  }
}

/** How recently closed streams ended: a late frame means something different in each case (RFC 9113 §5.1, "closed"). */
export const ClosedBy = {
  /** Never opened, or no longer remembered. */
  unknown: 0,
  /** Both sides sent END_STREAM. */
  end: 1,
  /** The client reset it. */
  client: 2,
  /** The router reset it, or answered before the request was complete: late frames of the client are ignored. */
  us: 3,
} as const

const remembered = 256

export class ClosedStreams {
  readonly #ids = new Int32Array(remembered)
  readonly #how = new Uint8Array(remembered)

  note(streamId: number, how: number): void {
    const slot = (streamId >>> 1) % remembered
    this.#ids[slot] = streamId
    this.#how[slot] = how
  }

  howClosed(streamId: number): number {
    const slot = (streamId >>> 1) % remembered
    return this.#ids[slot] === streamId ? (this.#how[slot] as number) : ClosedBy.unknown
  }
}
