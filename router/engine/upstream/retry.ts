import type { ForwardPlan } from '../../gate/gate'
import type { Front } from '../downstream'
import { isSafe } from '../http-proxy/request-rules'
import { sentNothing, type UpstreamFault } from '../http-proxy/upstreams'

export interface FailedAttempt {
  fault: UpstreamFault
  /** A kept connection closed before any byte of the answer. */
  keptClosed: boolean
  /** With this one. */
  attempts: number
}

/**
 * Whether there may be a second attempt, once, and only when it cannot repeat anything: the request has no body, and either nothing of
 * it was sent (there was no connection), or its method is safe and a kept connection closed. Where to: see `routeOfRetry`.
 */
export function mayRetry(front: Front, plan: ForwardPlan, { fault, keptClosed, attempts }: FailedAttempt): boolean {
  if (attempts > 1 || front.body !== 'none') return false
  if (sentNothing(fault)) return plan.outside === null
  // A handshake never goes over a kept connection.
  return fault === 'reset' && keptClosed && !front.wantsUpgrade && isSafe(front.facts.method)
}
