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

/**
 * Counts a genuine delivery to a webhook, or the use of a deploy hook.
 * @throws ERR_RATE_LIMITED
 */
export function countHook(kind: 'webhook' | 'deploy-hook', id: string, answer: Headers): void {
  note(getPlatform().requestLimits.countHook(kind, id), answer)
}

/** Counts requests to unknown webhook and deploy hook addresses, per sender address. @throws ERR_RATE_LIMITED */
export function countUnknown(asked: Headers, answer: Headers): void {
  note(getPlatform().requestLimits.countRefused(clientAddress(asked)), answer)
}

const limitOf: Readonly<Record<Allowance['policy'], { whose: string; setting: string }>> = {
  caller: { whose: 'of this key or person', setting: 'SWITCHYARD_API_REQUESTS_PER_MINUTE' },
  refused: { whose: 'without a valid key or session from this address', setting: 'SWITCHYARD_API_REFUSALS_PER_MINUTE' },
  webhook: { whose: 'to this webhook', setting: 'SWITCHYARD_WEBHOOKS_PER_MINUTE' },
  'deploy-hook': { whose: 'to this deploy hook', setting: 'SWITCHYARD_DEPLOY_HOOKS_PER_MINUTE' },
}

function note(allowance: Allowance | null, answer: Headers): void {
  if (!allowance) return
  const { policy, quota, windowSeconds, remaining, resetSeconds, retryAfterSeconds } = allowance
  answer.set('ratelimit-policy', `"${policy}";q=${quota};w=${windowSeconds}`)
  answer.set('ratelimit', `"${policy}";r=${remaining};t=${resetSeconds}`)
  if (retryAfterSeconds === 0) return
  const { whose, setting } = limitOf[policy]
  throw new AppError('ERR_RATE_LIMITED', `There were more than ${quota} requests a minute ${whose}.`, {
    stillServing: 'Nothing of this request was done; apps are not concerned.',
    nextAction: `Try again in ${retryAfterSeconds} s. The operator can raise the limit (${setting}).`,
    retryAfterSeconds,
  })
}
