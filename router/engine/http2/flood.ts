/** A bucket of tokens that refills with time: what an honest client needs now and then, and a flood uses up. */
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

/** What a client may do at once, and then each second. A browser that leaves a page cancels all it asked for, more than once. */
const trusted = { resets: 400, idle: 1_000 }
/** The allowance for addresses that have just flooded: enough for an honest client that shares the address. */
const suspected = { resets: 20, idle: 100 }
const resetsPerSecond = 40
const idlePerSecond = 100
const windowAllowance = 2_000
const windowPerFrame = 4

/**
 * Counts what costs a client nothing and us something (RFC 9113 §10.5): streams cancelled (CVE-2023-44487) or made us cancel
 * (CVE-2025-8671), and frames that carry nothing. A method returns false when a client is beyond what an honest one does.
 */
export class FloodGuard {
  readonly #resets: Bucket
  /** PING, SETTINGS, PRIORITY, empty DATA, frames we do not know. */
  readonly #idle: Bucket
  #windowCredit = windowAllowance

  /** `suspect`: see `Offenders`. */
  constructor(suspect: boolean) {
    const allowance = suspect ? suspected : trusted
    this.#resets = new Bucket(allowance.resets, resetsPerSecond)
    this.#idle = new Bucket(allowance.idle, idlePerSecond)
  }

  /** A stream was ended before its answer was: by the client, or by us for what the client did. */
  reset(): boolean {
    return this.#resets.take(Date.now())
  }

  /** A frame without use. */
  idleFrame(): boolean {
    return this.#idle.take(Date.now())
  }

  /** Windows are opened for what we send: each DATA frame and each request earns some updates. */
  windowUpdate(): boolean {
    return --this.#windowCredit >= 0
  }

  earnWindowUpdates(): void {
    if (this.#windowCredit < windowAllowance) this.#windowCredit += windowPerFrame
  }
}

/** The last streams that were closed, and how: frames that come late mean different things (RFC 9113 §5.1, "closed"). */
export const ClosedBy = {
  /** Never used, or so long ago that it is forgotten. */
  unknown: 0,
  /** Both sides ended it. */
  end: 1,
  /** The client reset it. */
  client: 2,
  /** We reset it, or answered before the request was whole: what was on its way then is ignored. */
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
