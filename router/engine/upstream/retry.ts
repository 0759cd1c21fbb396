import type { Target } from '@/shared/route-table'
import type { ForwardPlan } from '../../gate/gate'
import type { HostTable, LiveRoute } from '../../match/host-table'
import type { Downstream } from '../downstream'
import { sentNothing, type UpstreamFault } from './faults'

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
export function mayRetry(downstream: Downstream, plan: ForwardPlan, { fault, keptClosed, attempts }: FailedAttempt): boolean {
  if (attempts > 1 || downstream.body !== 'none') return false
  if (sentNothing(fault)) return plan.outside === null
  // A handshake never goes over a kept connection.
  return fault === 'reset' && keptClosed && !downstream.wantsUpgrade && isSafe(downstream.facts.method)
}

/**
 * Whether a request may be sent a second time although the first may have been acted upon: safe methods alone (RFC 9110 §9.2.1). PUT and
 * DELETE are idempotent, but a second DELETE is answered otherwise than the first.
 */
export function isSafe(method: string): boolean {
  return ['GET', 'HEAD', 'OPTIONS'].includes(method)
}

/**
 * Where a second attempt goes: the route of the newest table, for an instance that refuses may be gone since its successor took over.
 * null: nowhere, because the host belongs to another project now, whose access rules were not checked; or because there was no connection
 * and the failed instance is the only one.
 */
export function routeOfRetry(table: HostTable, before: LiveRoute, failed: Target, fault: UpstreamFault): LiveRoute | null {
  const newest = table.find(before.host)
  if (newest === undefined || newest.projectId !== before.projectId) return null
  if (sentNothing(fault) && newest.targets.every(({ instanceId }) => instanceId === failed.instanceId)) return null
  return newest
}
