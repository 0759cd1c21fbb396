import { isIPv6 } from 'node:net'
import { setTimeout as sleepFor } from 'node:timers/promises'
import { AppError } from '@/shared/errors'

/** Counters kept at once; beyond that the oldest go. */
const maxLanes = 20_000
/** A counter without an attempt for this long is removed. */
const forgottenAfterMs = 15 * 60_000
/** A browser waits this long without giving up; a longer queue is refused with the time to come back. */
const maxWaitMs = 15_000

/** How attempts that count together are spaced: the first ones not at all, the next ones by a growing pause. */
interface Pace {
  free: number
  pauseMs: number
  maxPauseMs: number
}

export const paces = {
  /** One guesser at one account. */
  pair: { free: 5, pauseMs: 500, maxPauseMs: 8_000 },
  /** One guesser at many accounts. Behind one address may be a whole office, so its pause stays short. */
  address: { free: 30, pauseMs: 250, maxPauseMs: 250 },
  /** Many guessers at one account. */
  email: { free: 50, pauseMs: 500, maxPauseMs: 2_000 },
  /** A device that has signed in to the account before: counted apart, so that strangers cannot slow it down. */
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
   * Waits for the turn of one attempt. The result is called when the attempt succeeded: then it does not count.
   * @throws AppError ERR_RATE_LIMITED when the wait would be longer than a browser's patience
   */
  admit(keys: readonly LaneKey[]): Promise<() => void>
}

/** An address as attempts are counted: of IPv6 its network, because one machine has all of it. */
export function countedAddress(address: string): string {
  if (!isIPv6(address)) return address
  const [head = '', tail] = address.split('::')
  const groups = head.split(':').filter(Boolean)
  if (tail !== undefined) while (groups.length < 8 - tail.split(':').filter(Boolean).length) groups.push('0')
  return `${groups.slice(0, 4).join(':')}::/64`
}

/**
 * Slows attempts down instead of refusing them. In memory: one control process answers every sign-in, and a restart that forgets the
 * counts costs an attacker more time than it gives.
 */
export function createThrottle(options: { now?: () => number; sleep?: (ms: number) => Promise<unknown> } = {}): Throttle {
  const { now = Date.now, sleep = (ms: number) => sleepFor(ms) } = options
  const lanes = new Map<string, Lane>()

  function laneOf([kind, key]: LaneKey, at: number): Lane {
    const name = `${kind} ${key}`
    const known = lanes.get(name)
    const lane = known && at - known.usedAt < forgottenAfterMs ? known : { attempts: 0, nextAt: at, usedAt: at }
    lane.usedAt = at
    // Moved to the end: the first entry of the map is the least recently used.
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
