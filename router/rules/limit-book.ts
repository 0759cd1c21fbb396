import { z } from 'zod'
import { BucketRoom, RateLimit } from './rate-limits'

/** Tokens one worker gave, as it tells the others. */
export interface Take {
  /** Which limit: the same in every worker that has the same policy. */
  limit: string
  requests: number
  windowSeconds: number
  /** Whom it counts. */
  key: string
  tokens: number
}

/** Tells the other workers; `sent` is called when it has left, or cannot. */
export type TellTakes = (takes: Take[], sent: () => void) => void

const heardTakes = z.array(
  z.object({
    limit: z.string(),
    requests: z.number().positive(),
    windowSeconds: z.number().positive(),
    key: z.string(),
    tokens: z.number().positive(),
  }),
)

/** What comes together within so long is told together: by so much, and the way to the others, they know later. */
const gatherMs = 10
const maxTold = 1_000
const maxUntold = 20_000
/** Limits that were heard of before a request made their policy ready here. */
const maxHeard = 1_000
/** Visitors counted by all limits together, some 150 bytes each. */
const maxBuckets = 300_000

/**
 * The limits of this worker, kept in step with those of the others: each counts what it gives at once, and tells the others, who take it off
 * theirs. Workers that cannot be told count for themselves, so nothing here can hold a request.
 */
export class LimitBook {
  readonly #tell: TellTakes | null
  readonly #now: () => number
  /** Those that a policy holds; with it they go. */
  readonly #limits = new Map<string, WeakRef<RateLimit>>()
  readonly #heard = new Map<string, RateLimit>()
  readonly #room: BucketRoom
  #untold = new Map<string, Take>()
  #timer: NodeJS.Timeout | null = null
  #sending = false
  #sweepAt = 1_000

  /** `tell` null: there are no others. `now` in ms, only growing. */
  constructor(tell: TellTakes | null = null, now: () => number = () => performance.now(), most = maxBuckets) {
    this.#tell = tell
    this.#now = now
    this.#room = new BucketRoom(most, () => this.#all())
  }

  /** The limit of this name, with what other workers have given already. */
  limit(name: string, requests: number, windowSeconds: number): RateLimit {
    const known = this.#limits.get(name)?.deref() ?? this.#heard.get(name)
    const limit = known ?? new RateLimit(requests, windowSeconds, this.#room)
    this.#heard.delete(name)
    this.#limits.set(name, new WeakRef(limit))
    this.#sweep()
    if (this.#tell !== null) limit.onTake = (key) => this.#note({ limit: name, requests, windowSeconds, key, tokens: 1 })
    return limit
  }

  /** What another worker told. What is not understood is nobody's: it may come from another version. */
  hear(told: unknown): void {
    const takes = heardTakes.safeParse(told)
    if (!takes.success) return
    const now = this.#now()
    for (const take of takes.data) this.#limitHeard(take).note(take.key, take.tokens, now)
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  #limitHeard({ limit: name, requests, windowSeconds }: Take): RateLimit {
    const known = this.#limits.get(name)?.deref() ?? this.#heard.get(name)
    if (known) return known
    if (this.#heard.size >= maxHeard) for (const oldest of [...this.#heard.keys()].slice(0, maxHeard / 10)) this.#heard.delete(oldest)
    const limit = new RateLimit(requests, windowSeconds, this.#room)
    this.#heard.set(name, limit)
    return limit
  }

  *#all(): Generator<RateLimit, void> {
    for (const held of this.#limits.values()) {
      const limit = held.deref()
      if (limit) yield limit
    }
    yield* this.#heard.values()
  }

  // Names whose policies are gone.
  #sweep(): void {
    if (this.#limits.size < this.#sweepAt) return
    for (const [name, limit] of this.#limits) if (limit.deref() === undefined) this.#limits.delete(name)
    this.#sweepAt = Math.max(1_000, 2 * this.#limits.size)
  }

  #note(take: Take): void {
    const name = `${take.limit} ${take.key}`
    const known = this.#untold.get(name)
    if (known) known.tokens += take.tokens
    else if (this.#untold.size < maxUntold) this.#untold.set(name, take)
    this.#timer ??= setTimeout(() => this.#flush(), gatherMs).unref()
  }

  #flush(): void {
    this.#timer = null
    if (this.#sending || this.#untold.size === 0) return
    const takes = [...this.#untold.values()].slice(0, maxTold)
    if (takes.length === this.#untold.size) this.#untold = new Map()
    else for (const { limit, key } of takes) this.#untold.delete(`${limit} ${key}`)
    this.#sending = true
    this.#tell?.(takes, () => {
      this.#sending = false
      if (this.#untold.size > 0) this.#timer ??= setTimeout(() => this.#flush(), gatherMs).unref()
    })
  }
}
