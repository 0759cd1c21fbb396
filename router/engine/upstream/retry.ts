import type { Target } from '@/shared/route-table'
import type { ForwardPlan } from '../../gate/gate'
import type { HostTable, LiveRoute } from '../../match/host-table'
import type { Downstream } from '../downstream'
import { sentNothing, type UpstreamFault } from './faults'

export interface FailedAttempt {
  fault: UpstreamFault
  /** A kept connection closed before any byte of the answer. */
  keptClosed: boolean
  /** Number of attempts, including the failed one. */
  attempts: number
}

/**
 * Whether a second attempt is allowed: only once, and only if it cannot repeat an effect. The request must have no body, and either nothing
 * was sent (no connection), or its method is safe and a reused connection closed. `routeOfRetry` selects the target.
 */
export function mayRetry(downstream: Downstream, plan: ForwardPlan, { fault, keptClosed, attempts }: FailedAttempt): boolean {
  if (attempts > 1 || downstream.body !== 'none') return false
  if (sentNothing(fault)) return plan.outside === null
  // A WebSocket handshake never uses a kept connection.
  return fault === 'reset' && keptClosed && !downstream.wantsUpgrade && isSafe(downstream.facts.method)
}

/**
 * Whether a request may be sent again although the first attempt may have had an effect: safe methods only (RFC 9110 §9.2.1). PUT and
 * DELETE are idempotent, but a second DELETE gets a different answer.
 */
export function isSafe(method: string): boolean {
  return ['GET', 'HEAD', 'OPTIONS'].includes(method)
}

/**
 * The route for a second attempt, from the newest table: the failed instance may have been replaced. null: no retry, because the host now
 * belongs to another project, whose access rules were not checked, or because the connection failed and no other instance exists.
 */
export function routeOfRetry(table: HostTable, before: LiveRoute, failed: Target, fault: UpstreamFault): LiveRoute | null {
  const newest = table.find(before.host)
  if (newest === undefined || newest.projectId !== before.projectId) return null
  if (sentNothing(fault) && newest.targets.every(({ instanceId }) => instanceId === failed.instanceId)) return null
  return newest
}
