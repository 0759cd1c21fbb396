import type { HostTable, LiveRoute } from '../../match/host-table'
import type { Problem } from '../../pages/pages'
import type { Lease, TargetAsk, Targets } from '../../targets/targets'
import { InFlight, pickTarget } from './balancer'

/** The simplest `Targets`: fewest in flight, equals take turns; nothing is ejected, nothing waits. */
export class LeastLoaded implements Targets {
  readonly #counts = new InFlight()

  acquire(route: LiveRoute, ask: TargetAsk): Lease | Problem {
    const target = pickTarget(route, this.#counts, ask.avoid ?? undefined)
    if (!target) return noTargetProblem(route)
    return { target, setCookie: null, done: this.#counts.acquire(target.instanceId) }
  }

  apply(_table: HostTable): void {}

  inFlight(instanceIds: readonly string[]): Record<string, number> {
    return this.#counts.pick(instanceIds)
  }

  close(): void {}
}

/** Why a route has nowhere to go. */
export function noTargetProblem(route: LiveRoute): Problem {
  const kind = route.state === 'live' || route.state === 'sleeping' ? 'no-target' : route.state
  return { kind, host: route.host, projectName: route.projectName }
}
