import type { Target } from '@/shared/route-table'
import type { UpstreamFault } from '../engine/upstream/faults'
import type { HostTable, LiveRoute } from '../match/host-table'
import type { Problem } from '../pages/pages'

/** What became of an attempt. */
export type Outcome =
  /** The head of the answer came after so many milliseconds. */
  { kind: 'answered'; status: number; headMs: number } | { kind: 'fault'; fault: UpstreamFault } | { kind: 'client-left' }

/** One request's hold on a target. */
export interface Lease {
  readonly target: Target
  /** A cookie that keeps the visitor here, to be added to the answer; null: none asked, or already there. */
  readonly setCookie: string | null
  /** The attempt is over: its body, too. Counts once. */
  done(outcome: Outcome): void
}

export interface TargetAsk {
  /** The visitor's Cookie header: read only on sticky routes. */
  cookie(): string | undefined
  /** Chosen only when there is no other: an attempt there has just failed. */
  avoid: Target | null
  /** The visitor came by HTTPS: their cookie may not travel without it. */
  readonly secure?: boolean | undefined
  /** The client left or the router ends: leaves the queue. */
  signal?: AbortSignal
}

/**
 * Which instance serves a request: least loaded or round robin, sticky, without ejected ones, within limits. A promise only where the
 * request has to wait (every target at its limit, or asleep); it ends with a lease or with the problem to show.
 */
export interface Targets {
  acquire(route: LiveRoute, ask: TargetAsk): Lease | Problem | Promise<Lease | Problem>
  /** Targets that left are forgotten; newcomers begin slowly. */
  apply(table: HostTable): void
  /** Requests and upgraded connections open towards each of these instances. */
  inFlight(instanceIds: readonly string[]): Record<string, number>
  close(): void
}

/** Whether `acquire` gave a lease. */
export function isLease(result: Lease | Problem): result is Lease {
  return 'target' in result
}

/** Why a route has nowhere to go. */
export function noTargetProblem(route: LiveRoute): Problem {
  const kind = route.state === 'live' || route.state === 'sleeping' ? 'no-target' : route.state
  return { kind, host: route.host, projectName: route.projectName }
}
