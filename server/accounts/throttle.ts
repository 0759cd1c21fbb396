import { isIPv6 } from 'node:net'
import { setTimeout as sleepFor } from 'node:timers/promises'
import { AppError } from '@/shared/errors'

/** Largest number of counters in memory; beyond it the least recently used is removed. */
const maxLanes = 20_000
/** A counter without an attempt for this long is removed. */
const forgottenAfterMs = 15 * 60_000
/** Longest delay that browsers tolerate; a longer delay is refused with the time to retry. */
const maxWaitMs = 15_000

/** Spacing of attempts on a counter: the first `free` attempts without delay, then a growing pause. */
interface Pace {
  free: number
  pauseMs: number
  maxPauseMs: number
}

export const paces = {
  /** Per client address and account. */
  pair: { free: 5, pauseMs: 500, maxPauseMs: 8_000 },
  /** Per client address, over all accounts. The pause stays short, because an address may be shared by a whole office. */
  address: { free: 30, pauseMs: 250, maxPauseMs: 250 },
  /** Per account, over all client addresses. */
  email: { free: 50, pauseMs: 500, maxPauseMs: 2_000 },
  /** Per known device (signed in to the account before): a separate counter, so that attackers cannot slow the owner down. */
  device: { free: 10, pauseMs: 500, maxPauseMs: 8_000 },
  setup: { free: 20, pauseMs: 250, maxPauseMs: 1_000 },
} as const satisfies Record<string, Pace>

interface Lane {
  attempts: number
  /** Earliest time of the next attempt. */
  nextAt: number
  usedAt: number
}

export type LaneKey = readonly [kind: keyof typeof paces, key: string]

export interface Throttle {
  /**
   * Waits until the attempt is allowed. Call the returned function after a successful attempt, which then does not count.
   * @throws AppError ERR_RATE_LIMITED when the delay would exceed `maxWaitMs`
   */
  admit(keys: readonly LaneKey[]): Promise<() => void>
}

/** The counter key of a client address. IPv6: the network prefix, because a single machine controls all its addresses. */
export function countedAddress(address: string): string {
  if (!isIPv6(address)) return address
  const [head = '', tail] = address.split('::')
  const groups = head.split(':').filter(Boolean)
  if (tail !== undefined) while (groups.length < 8 - tail.split(':').filter(Boolean).length) groups.push('0')
  return `${groups.slice(0, 4).join(':')}::/64`
}

/**
 * Delays sign-in attempts instead of refusing them. In memory: a single control process handles every sign-in, and a restart that loses the
 * counters takes longer than the delays an attacker would save.
 */
export function createThrottle(options: { now?: () => number; sleep?: (ms: number) => Promise<unknown> } = {}): Throttle {
  const { now = Date.now, sleep = (ms: number) => sleepFor(ms) } = options
  const lanes = new Map<string, Lane>()

  function laneOf([kind, key]: LaneKey, at: number): Lane {
    const name = `${kind} ${key}`
    const known = lanes.get(name)
    const lane = known && at - known.usedAt < forgottenAfterMs ? known : { attempts: 0, nextAt: at, usedAt: at }
    lane.usedAt = at
    // Re-insert at the end: the first entry of the map is the least recently used.
    lanes.delete(name)
    lanes.set(name, lane)
    const oldest = lanes.size > maxLanes ? lanes.keys().next().value : undefined
    if (oldest !== undefined) lanes.delete(oldest)
    return lane
  }

  return {
    async admit(keys) {
      const at = now()
      const taken = keys.map((key) => ({ lane: laneOf(key, at), pace: paces[key[0]], forget: key[0] === 'pair' || key[0] === 'device' }))
      const startAt = Math.max(at, ...taken.map(({ lane }) => lane.nextAt))
      if (startAt - at > maxWaitMs) throw tooMany(startAt - at - maxWaitMs / 2)
      for (const { lane, pace } of taken) {
        lane.attempts++
        // Each account has its own pace: guesses at one account do not delay other people behind the address.
        lane.nextAt = Math.max(at, lane.nextAt) + pauseAfter(lane.attempts, pace)
      }
      if (startAt > at) await sleep(startAt - at)
      return () => {
        for (const { lane, forget } of taken) {
          lane.attempts = forget ? 0 : Math.max(0, lane.attempts - 1)
          if (forget) lane.nextAt = now()
        }
      }
    },
  }
}

function pauseAfter(attempts: number, { free, pauseMs, maxPauseMs }: Pace): number {
  return attempts < free ? 0 : Math.min(maxPauseMs, pauseMs * 2 ** Math.min(20, attempts - free))
}

function tooMany(waitMs: number): AppError {
  const retryAfterSeconds = Math.max(1, Math.ceil(waitMs / 1000))
  return new AppError('ERR_RATE_LIMITED', 'Too many attempts are waiting at this moment.', {
    nextAction: `Try again in ${retryAfterSeconds} seconds.`,
    retryAfterSeconds,
  })
}
