const maxBuckets = 20_000
/** In windows: as many as there may be workers. */
const mostOwed = 256

interface Bucket {
  tokens: number
  /** ms, when `tokens` was right. */
  at: number
}

export interface LimitState {
  limit: number
  windowSeconds: number
  remaining: number
  /** Until the next request may come (0: now), and until all may. */
  retryAfterSeconds: number
  resetSeconds: number
}

/**
 * How many buckets limits keep together, whatever the number of limits: policies of many projects, and those that older tables had. When
 * there is no more room the largest are cut down to half of an average one, so who has few visitors keeps what is known of them.
 */
export class BucketRoom {
  readonly #most: number
  readonly #limits: () => Iterable<RateLimit>
  #taken = 0

  constructor(most: number, limits: () => Iterable<RateLimit>) {
    this.#most = most
    this.#limits = limits
  }

  /** Room for one more. */
  take(): void {
    if (this.#taken >= this.#most) this.#make()
    this.#taken += 1
  }

  giveBack(): void {
    this.#taken -= 1
  }

  #make(): void {
    const limits = [...this.#limits()].filter(({ size }) => size > 0)
    const total = limits.reduce((sum, { size }) => sum + size, 0)
    // Limits that went with their policies gave nothing back.
    this.#taken = total
    if (total < this.#most) return
    for (const limit of limits) limit.keep(Math.floor(total / limits.length / 2))
  }
}

/**
 * A token bucket for each visitor: `requests` at once, refilled evenly over the window. Bounded: whoever was not seen for longest is
 * forgotten first. What other workers gave is taken off by `note` (see `LimitBook`).
 */
export class RateLimit {
  readonly #requests: number
  readonly #windowMs: number
  readonly #room: BucketRoom | null
  readonly #buckets = new Map<string, Bucket>()
  /** Called for every token that is granted. */
  onTake: ((key: string) => void) | null = null

  constructor(requests: number, windowSeconds: number, room: BucketRoom | null = null) {
    this.#room = room
    this.#requests = requests
    this.#windowMs = windowSeconds * 1000
  }

  /** Takes one token of `key`; `retryAfterSeconds` above 0 says that there was none. `now` in ms. */
  take(key: string, now: number): LimitState {
    const bucket = this.#bucket(key, now)
    const allowed = bucket.tokens >= 1
    if (allowed) {
      bucket.tokens -= 1
      this.onTake?.(key)
    }
    return this.#stateOf(bucket, allowed)
  }

  /** What `take` would say, without taking. */
  look(key: string, now: number): LimitState {
    const bucket = this.#bucket(key, now)
    return this.#stateOf(bucket, bucket.tokens >= 1)
  }

  /** Takes a token even where there is none, for what turns out afterwards: that one is owed. */
  charge(key: string, now: number): void {
    this.note(key, 1, now)
    this.onTake?.(key)
  }

  /** Buckets in memory. */
  get size(): number {
    return this.#buckets.size
  }

  /** Forgets all but so many. */
  keep(most: number): void {
    while (this.#buckets.size > most) this.#forgetOldest()
  }

  #stateOf(bucket: Bucket, allowed: boolean): LimitState {
    const perToken = this.#windowMs / this.#requests
    return {
      limit: this.#requests,
      windowSeconds: this.#windowMs / 1000,
      remaining: Math.max(0, Math.floor(bucket.tokens)),
      retryAfterSeconds: allowed ? 0 : Math.max(1, Math.ceil(((1 - bucket.tokens) * perToken) / 1000)),
      resetSeconds: Math.ceil(((this.#requests - bucket.tokens) * perToken) / 1000),
    }
  }

  /** Another worker gave so many tokens of `key`: what was given beyond the limit is owed. */
  note(key: string, tokens: number, now: number): void {
    const bucket = this.#bucket(key, now)
    bucket.tokens = Math.max(bucket.tokens - tokens, -mostOwed * this.#requests)
  }

  #bucket(key: string, now: number): Bucket {
    const known = this.#buckets.get(key)
    // Put back at the end: the map's order is the order of use.
    if (known) this.#buckets.delete(key)
    else {
      if (this.#buckets.size >= maxBuckets) this.#forgetOldest()
      this.#room?.take()
    }
    const bucket = known ?? { tokens: this.#requests, at: now }
    this.#buckets.set(key, bucket)
    const refill = ((now - bucket.at) * this.#requests) / this.#windowMs
    bucket.tokens = Math.min(this.#requests, bucket.tokens + Math.max(0, refill))
    bucket.at = Math.max(bucket.at, now)
    return bucket
  }

  #forgetOldest(): void {
    for (const key of this.#buckets.keys()) {
      this.#buckets.delete(key)
      this.#room?.giveBack()
      return
    }
  }
}
