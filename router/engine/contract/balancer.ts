import type { Target } from '@/shared/route-table'
import type { LiveRoute } from '../../match/host-table'

/** Requests and upgraded connections open towards each instance, whatever table sent them there. */
export class InFlight {
  readonly #counts = new Map<string, number>()

  /** Counts one in; the returned function counts it out, once. */
  acquire(instanceId: string): () => void {
    this.#counts.set(instanceId, this.of(instanceId) + 1)
    let open = true
    return () => {
      if (!open) return
      open = false
      const left = this.of(instanceId) - 1
      if (left > 0) this.#counts.set(instanceId, left)
      else this.#counts.delete(instanceId)
    }
  }

  of(instanceId: string): number {
    return this.#counts.get(instanceId) ?? 0
  }

  pick(instanceIds: readonly string[]): Record<string, number> {
    return Object.fromEntries(instanceIds.map((id) => [id, this.of(id)]))
  }
}

/** The target with the fewest requests in flight; equals take turns. `tried` is chosen only when there is no other. */
export function pickTarget(route: LiveRoute, inFlight: InFlight, tried?: Target): Target | undefined {
  const { targets } = route
  let best: Target | undefined
  let fewest = Number.POSITIVE_INFINITY
  const start = route.turn++
  for (let i = 0; i < targets.length; i++) {
    const target = targets[(start + i) % targets.length]
    if (!target || (tried && sameTarget(target, tried))) continue
    const open = inFlight.of(target.instanceId)
    if (open < fewest) {
      best = target
      fewest = open
    }
  }
  return best ?? (tried && targets.find((target) => sameTarget(target, tried)))
}

export function sameTarget(a: Target, b: Target): boolean {
  return a.instanceId === b.instanceId && a.host === b.host && a.port === b.port
}
