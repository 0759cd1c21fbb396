import { AppError, isAppError } from '@/shared/errors'
import type { Actor } from '../actor'
import { getPlatform } from '../platform'
import type { Allowance } from '../request-limits/request-limits'
import { clientAddress } from './visitor'

/** Headers for the API's rate limits (draft-ietf-httpapi-ratelimit-headers-10), and Retry-After. */

/**
 * Counts an authenticated request and sets the headers of its answer.
 * @throws ERR_RATE_LIMITED
 */
export function countCaller(actor: Actor, answer: Headers): void {
  note(getPlatform().requestLimits.countCaller(actor), answer)
}

/**
 * Counts a request without a valid key or session by its address. Authenticated requests are not counted by address, so others behind the
 * same address cannot use up their allowance. Other errors do not count.
 * @throws ERR_RATE_LIMITED
 */
export function countRefusal(error: unknown, asked: Headers, answer: Headers): void {
  if (isAppError(error) && error.code === 'ERR_UNAUTHENTICATED') note(getPlatform().requestLimits.countRefused(clientAddress(asked)), answer)
}

function note(allowance: Allowance | null, answer: Headers): void {
  if (!allowance) return
  const { policy, quota, windowSeconds, remaining, resetSeconds, retryAfterSeconds } = allowance
  answer.set('ratelimit-policy', `"${policy}";q=${quota};w=${windowSeconds}`)
  answer.set('ratelimit', `"${policy}";r=${remaining};t=${resetSeconds}`)
  if (retryAfterSeconds === 0) return
  const whose = policy === 'caller' ? 'of this key or person' : 'without a valid key or session from this address'
  throw new AppError('ERR_RATE_LIMITED', `There were more than ${quota} requests a minute ${whose}.`, {
    stillServing: 'Nothing of this request was done; apps are not concerned.',
    nextAction: `Try again in ${retryAfterSeconds} s. The operator can raise the limit (SWITCHYARD_API_REQUESTS_PER_MINUTE, SWITCHYARD_API_REFUSALS_PER_MINUTE).`,
    retryAfterSeconds,
  })
}
