import { z } from 'zod'
import { BucketRoom, RateLimit } from './rate-limit'

/** Tokens that one worker granted, as sent to the other workers. */
export interface Take {
  /** Name of the limit: the same in every worker that has the same rules. */
  limit: string
  requests: number
  windowSeconds: number
  /** The client or key that is counted. */
  key: string
  tokens: number
}

/** Sends to the other workers. `sent` is called when the message has left or cannot be sent. */
export type SendTakes = (takes: Take[], sent: () => void) => void

const receivedTakes = z.array(
  z.object({
    limit: z.string(),
    requests: z.number().positive(),
    windowSeconds: z.number().positive(),
    key: z.string(),
    tokens: z.number().positive(),
  }),
)

/** Grants within this time are sent as one message. */
const batchMs = 10
const maxSent = 1_000
const maxUnsent = 20_000
/** Limits received from other workers before their rules were compiled here. */
const maxRemote = 1_000
/** Buckets of all limits together, about 150 bytes each. */
const maxBuckets = 300_000

/**
 * The rate limits of this worker, synchronized with those of the others: each worker counts its own grants at once and sends them to the
 * others, which subtract them. A worker that cannot be reached counts alone, so a request never waits here.
 */
export class RateLimits {
  readonly #send: SendTakes | null
  readonly #now: () => number
  /** Limits in use, held by the compiled rules and collected with them. */
  readonly #limits = new Map<string, WeakRef<RateLimit>>()
  readonly #remote = new Map<string, RateLimit>()
  readonly #room: BucketRoom
  #unsent = new Map<string, Take>()
  #timer: NodeJS.Timeout | null = null
  #sending = false
  #sweepAt = 1_000

  /** `send` null: there are no other workers. `now`: monotonic milliseconds. */
  constructor(send: SendTakes | null = null, now: () => number = () => performance.now(), most = maxBuckets) {
    this.#send = send
    this.#now = now
    this.#room = new BucketRoom(most, () => this.#all())
  }

  /** The limit of this name, with the grants of other workers already counted. */
  limit(name: string, requests: number, windowSeconds: number): RateLimit {
    const known = this.#limits.get(name)?.deref() ?? this.#remote.get(name)
    const limit = known ?? new RateLimit(requests, windowSeconds, this.#room)
    this.#remote.delete(name)
    this.#limits.set(name, new WeakRef(limit))
    this.#sweep()
    if (this.#send !== null) limit.onTake = (key) => this.#note({ limit: name, requests, windowSeconds, key, tokens: 1 })
    return limit
  }

  /** Counts grants of another worker. A malformed message is ignored. */
  receive(told: unknown): void {
    const takes = receivedTakes.safeParse(told)
    if (!takes.success) return
    const now = this.#now()
    for (const take of takes.data) this.#remoteLimit(take).note(take.key, take.tokens, now)
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  #remoteLimit({ limit: name, requests, windowSeconds }: Take): RateLimit {
    const known = this.#limits.get(name)?.deref() ?? this.#remote.get(name)
    if (known) return known
    if (this.#remote.size >= maxRemote) for (const oldest of [...this.#remote.keys()].slice(0, maxRemote / 10)) this.#remote.delete(oldest)
    const limit = new RateLimit(requests, windowSeconds, this.#room)
    this.#remote.set(name, limit)
    return limit
  }

  *#all(): Generator<RateLimit, void> {
    for (const held of this.#limits.values()) {
      const limit = held.deref()
      if (limit) yield limit
    }
    yield* this.#remote.values()
  }

  // Drops the names of limits that were collected.
  #sweep(): void {
    if (this.#limits.size < this.#sweepAt) return
    for (const [name, limit] of this.#limits) if (limit.deref() === undefined) this.#limits.delete(name)
    this.#sweepAt = Math.max(1_000, 2 * this.#limits.size)
  }

  #note(take: Take): void {
    const name = `${take.limit} ${take.key}`
    const known = this.#unsent.get(name)
    if (known) known.tokens += take.tokens
    else if (this.#unsent.size < maxUnsent) this.#unsent.set(name, take)
    this.#timer ??= setTimeout(() => this.#flush(), batchMs).unref()
  }

  #flush(): void {
    this.#timer = null
    if (this.#sending || this.#unsent.size === 0) return
    const takes = [...this.#unsent.values()].slice(0, maxSent)
    if (takes.length === this.#unsent.size) this.#unsent = new Map()
    else for (const { limit, key } of takes) this.#unsent.delete(`${limit} ${key}`)
    this.#sending = true
    this.#send?.(takes, () => {
      this.#sending = false
      if (this.#unsent.size > 0) this.#timer ??= setTimeout(() => this.#flush(), batchMs).unref()
    })
  }
}
