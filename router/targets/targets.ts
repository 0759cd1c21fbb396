import type { Target } from '@/shared/route-table'
import type { UpstreamFault } from '../engine/upstream/faults'
import type { HostTable, LiveRoute } from '../match/host-table'
import type { Problem } from '../pages/pages'

/** Result of an attempt. */
export type Outcome =
  /** Milliseconds until the head of the answer. */
  { kind: 'answered'; status: number; headMs: number } | { kind: 'fault'; fault: UpstreamFault } | { kind: 'client-left' }

/** A request's reservation of a target. */
export interface Lease {
  readonly target: Target
  /** Cookie that keeps the visitor at this instance, to be added to the answer; null: not sticky, or already set. */
  readonly setCookie: string | null
  /** Ends the attempt, including its body. Only the first call counts. */
  done(outcome: Outcome): void
}

export interface TargetAsk {
  /** The visitor's Cookie header: read only on sticky routes. */
  cookie(): string | undefined
  /** Chosen only as a last resort: an attempt at this target has just failed. */
  avoid: Target | null
  /** The visitor uses HTTPS: set the cookie with Secure. */
  readonly secure?: boolean | undefined
  /** Aborts when the client leaves or the router stops: removes the request from the queue. */
  signal?: AbortSignal
}

/**
 * Selects the instance for a request: least loaded or round robin, sticky, without ejected targets, within limits. Returns a promise only
 * if the request must wait (every target at its limit, or asleep); the result is a lease or the problem to show.
 */
export interface Targets {
  acquire(route: LiveRoute, ask: TargetAsk): Lease | Problem | Promise<Lease | Problem>
  /** Applies a new table: removed targets are forgotten, new ones start slowly. */
  apply(table: HostTable): void
  /** Number of open requests and upgraded connections per instance. */
  inFlight(instanceIds: readonly string[]): Record<string, number>
  close(): void
}

/** Whether `acquire` gave a lease. */
export function isLease(result: Lease | Problem): result is Lease {
  return 'target' in result
}

/** The problem of a route without targets. */
export function noTargetProblem(route: LiveRoute): Problem {
  const kind = route.state === 'live' || route.state === 'sleeping' ? 'no-target' : route.state
  return { kind, host: route.host, projectName: route.projectName }
}
