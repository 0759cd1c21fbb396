import { afterEach, beforeEach, vi } from 'vitest'
import type { LinkReports } from '@/shared/link'
import { defaultProjectRules, type ProjectRules } from '@/shared/project-rules'
import type { Route, Target } from '@/shared/route-table'
import { HostTable, type LiveRoute } from '../match/host-table'
import { type BalancedTargetsOptions, createTargets } from './balanced'
import { isLease, type Lease, type Outcome, type TargetAsk, type Targets } from './targets'

const quiet = { info: () => {}, warn: () => {}, error: () => {} }
export const ok: Outcome = { kind: 'answered', status: 200, headMs: 1 }
export const refused: Outcome = { kind: 'fault', fault: 'refused' }
export const anyone: TargetAsk = { cookie: () => undefined, avoid: null }

/** `count` targets `i0`, `i1`, … on ports 1000, 1001, …, in the table since `since`. */
export const targetsNamed = (count: number, since?: number): Target[] =>
  Array.from({ length: count }, (_, i) => ({ instanceId: `i${i}`, host: '127.0.0.1', port: 1000 + i, ...(since ? { since } : {}) }))

let version = 0

/** A table with one project at two hosts, `app.test` and `www.test`. */
export function tableOf(targets: Target[], policy: Partial<ProjectRules> = {}, extra: Partial<Route> = {}): HostTable {
  const base = { teamId: 't', projectId: 'p', projectName: 'shop', deploymentId: 'd', state: 'live' as const, targets, policy: 'x', ...extra }
  return new HostTable({
    version: ++version,
    generatedAt: '',
    dashboardUrl: '',
    routes: [
      { host: 'app.test', ...base },
      { host: 'www.test', ...base },
    ],
    policies: { x: { ...defaultProjectRules, ...policy } },
  })
}

export const routeOf = (table: HostTable, host = 'app.test') => table.find(host) as LiveRoute

/** Events of the balancers of a test, and the ports that accept their probes. */
export interface TargetsWorld {
  events: LinkReports['health']['events']
  /** Ports that accept connections again. */
  accepting: Set<number>
  /** Creates a balancer with the clock of the test, closed after the test. */
  balancing(table: HostTable, options?: Partial<BalancedTargetsOptions>): Targets
}

/** Creates a separate environment with a stopped clock for each test of the calling file. */
export function targetsWorld(): TargetsWorld {
  let open: Targets[] = []
  const world: TargetsWorld = {
    events: [],
    accepting: new Set(),
    balancing(table, options = {}) {
      const targets = createTargets({
        table,
        log: quiet,
        report: (_kind, report) => world.events.push(...report.events),
        wake: async () => ({ accepted: false }),
        probe: async (target) => world.accepting.has(target.port),
        ...options,
      })
      open.push(targets)
      return targets
    },
  }
  beforeEach(() => {
    vi.useFakeTimers({ now: 1_000_000_000_000 })
    world.events = []
    world.accepting = new Set()
    open = []
  })
  afterEach(() => {
    for (const targets of open) targets.close()
    vi.useRealTimers()
  })
  return world
}

/** Leases a target for a request that does not have to wait. */
export function lease(targets: Targets, route: LiveRoute, ask: TargetAsk = anyone): Lease {
  const result = targets.acquire(route, ask)
  if (result instanceof Promise || !isLease(result)) throw new Error(`no lease at once: ${JSON.stringify(result)}`)
  return result
}

/** Serves one request and returns the instance. */
export function serve(targets: Targets, route: LiveRoute, outcome: (target: Target) => Outcome = () => ok, ask: TargetAsk = anyone): string {
  const got = lease(targets, route, ask)
  got.done(outcome(got.target))
  return got.target.instanceId
}

/** Number of occurrences of each name. */
export function counted(names: string[]): Record<string, number> {
  const all: Record<string, number> = {}
  for (const name of names) all[name] = (all[name] ?? 0) + 1
  return all
}

export const many = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))
