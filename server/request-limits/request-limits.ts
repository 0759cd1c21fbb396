import { countedAddress } from '../accounts/throttle'
import type { Actor } from '../actor'

/** Rate limits of the API: token buckets in the memory of one process. */

/** Maximum number of buckets; the least recently used ones are removed. */
const maxBuckets = 20_000
const windowSeconds = 60

export interface RequestLimitSettings {
  /** Requests per minute of an API key or a signed-in user; 0: no limit. */
  perCaller: number
  /** Requests per minute without a valid key or session from an address; 0: no limit. */
  refusedPerAddress: number
  /** Deliveries a minute to one webhook, and uses a minute of one deploy hook; 0: no limit. */
  perWebhook: number
  perDeployHook: number
}

/** Remaining allowance after a request; see draft-ietf-httpapi-ratelimit-headers. */
export interface Allowance {
  policy: 'caller' | 'refused' | 'webhook' | 'deploy-hook'
  quota: number
  windowSeconds: number
  remaining: number
  /** Until the whole quota is available again. */
  resetSeconds: number
  /** Seconds until another request is accepted; 0: this request was accepted. */
  retryAfterSeconds: number
}

export interface RequestLimits {
  /** Counts an authenticated request. null: no limit. */
  countCaller(actor: Pick<Actor, 'kind' | 'id'>): Allowance | null
  /** Counts a request that had no valid key or session. null: no limit. */
  countRefused(address: string): Allowance | null
  /** Counts a genuine delivery to a webhook, or the use of a deploy hook. null: no limit. */
  countHook(kind: 'webhook' | 'deploy-hook', id: string): Allowance | null
}

interface Bucket {
  tokens: number
  at: number
}

export function createRequestLimits(settings: RequestLimitSettings, now: () => number = Date.now): RequestLimits {
  const buckets = new Map<string, Bucket>()

  function take(policy: Allowance['policy'], quota: number, key: string): Allowance | null {
    if (quota === 0) return null
    const name = `${policy} ${key}`
    const at = now()
    const perSecond = quota / windowSeconds
    const known = buckets.get(name) ?? { tokens: quota, at }
    const filled = Math.min(quota, known.tokens + (Math.max(0, at - known.at) / 1000) * perSecond)
    const taken = filled >= 1
    const tokens = taken ? filled - 1 : filled
    // Move the bucket to the end: the first entry of the map is the least recently used.
    buckets.delete(name)
    buckets.set(name, { tokens, at })
    const oldest = buckets.size > maxBuckets ? buckets.keys().next().value : undefined
    if (oldest !== undefined) buckets.delete(oldest)
    return {
      policy,
      quota,
      windowSeconds,
      remaining: Math.floor(tokens),
      resetSeconds: Math.ceil((quota - tokens) / perSecond),
      retryAfterSeconds: taken ? 0 : Math.max(1, Math.ceil((1 - tokens) / perSecond)),
    }
  }

  return {
    countCaller: ({ kind, id }) => take('caller', settings.perCaller, `${kind} ${id}`),
    countRefused: (address) => take('refused', settings.refusedPerAddress, countedAddress(address)),
    countHook: (kind, id) => take(kind, kind === 'webhook' ? settings.perWebhook : settings.perDeployHook, id),
  }
}
