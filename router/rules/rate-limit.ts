const maxBuckets = 20_000
/** Maximum debt of a bucket, in windows: about the maximum number of workers. */
const maxDebt = 256

interface Bucket {
  tokens: number
  /** Time in ms for which `tokens` was computed. */
  at: number
}

export interface LimitState {
  limit: number
  windowSeconds: number
  remaining: number
  /** Seconds until the next request is allowed (0: now) and until the bucket is full. */
  retryAfterSeconds: number
  resetSeconds: number
}

/**
 * The bound on buckets of all limits together, including limits of older tables. When it is reached, each limit is cut to half the average
 * number of buckets, so limits with few visitors lose none.
 */
export class BucketRoom {
  readonly #most: number
  readonly #limits: () => Iterable<RateLimit>
  #taken = 0

  constructor(most: number, limits: () => Iterable<RateLimit>) {
    this.#most = most
    this.#limits = limits
  }

  /** Reserves one bucket. */
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
    // Count again: limits that were garbage-collected with their policies did not return their buckets.
    this.#taken = total
    if (total < this.#most) return
    for (const limit of limits) limit.keep(Math.floor(total / limits.length / 2))
  }
}

/**
 * A token bucket per visitor: a burst of `requests`, refilled evenly over the window. The number of buckets is bounded: the least recently
 * used is removed first. `note` subtracts tokens granted by other workers (see `RateLimits`).
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

  /** Takes a token of `key`; `retryAfterSeconds` above 0: none was available. `now` in ms. */
  take(key: string, now: number): LimitState {
    const bucket = this.#bucket(key, now)
    const allowed = bucket.tokens >= 1
    if (allowed) {
      bucket.tokens -= 1
      this.onTake?.(key)
    }
    return this.#stateOf(bucket, allowed)
  }

  /** The result that `take` would return, without taking a token. */
  look(key: string, now: number): LimitState {
    const bucket = this.#bucket(key, now)
    return this.#stateOf(bucket, bucket.tokens >= 1)
  }

  /** Takes a token even if none is available, for events known only afterwards: the bucket goes into debt. */
  charge(key: string, now: number): void {
    this.note(key, 1, now)
    this.onTake?.(key)
  }

  /** Number of buckets. */
  get size(): number {
    return this.#buckets.size
  }

  /** Removes the oldest buckets until `most` remain. */
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

  /** Subtracts tokens that another worker granted; tokens beyond the limit become debt. */
  note(key: string, tokens: number, now: number): void {
    const bucket = this.#bucket(key, now)
    bucket.tokens = Math.max(bucket.tokens - tokens, -maxDebt * this.#requests)
  }

  #bucket(key: string, now: number): Bucket {
    const known = this.#buckets.get(key)
    // Reinsert at the end: the map is ordered by last use.
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
