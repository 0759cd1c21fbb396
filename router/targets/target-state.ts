import { createHash } from 'node:crypto'
import type { Target } from '@/shared/route-table'
import { addressOf, Health, type HealthSettings } from '../health/health'

/** Settings and services shared by all target states. */
export interface TargetsHost {
  readonly settings: HealthSettings
  probe(target: Target): Promise<boolean>
  reportHealth(event: { instanceId: string; address: string; state: 'ejected' | 'restored'; reason: string }): void
}

/** A group of targets that balances requests among them (`pool.ts`). */
export interface TargetPool {
  readonly waiters: { readonly size: number }
  mayEject(state: TargetState): boolean
  neighboursDoWell(state: TargetState): boolean
  /** Updates the lists from the health of all targets. */
  refresh(): void
  /** Gives waiting requests to a target with free capacity. */
  serveWaiters(freed: TargetState): void
}

/** Duration of slow start, after which a new target gets a full share. */
export const slowStartMs = 10_000
const smallestShare = 0.1

/** One endpoint as known to this worker, across all tables and routes that contain it. */
export class TargetState {
  target: Target
  /** Requests and upgraded connections open. */
  inFlight = 0
  readonly health: Health
  /** Time in ms since 1970 at which the target joined other, already serving targets; 0: it was there from the start. */
  joinedAt = 0
  /** Number of the table that first contained the target. */
  readonly born: number
  /** Number of the table that `pools` belong to: the current one, or an older one until the pools are renewed. */
  generation: number
  /** Pools that contain this target. */
  pools: TargetPool[] = []
  /** No table contains the target any more: it is removed after its last request. */
  retired = false
  #token: string | undefined

  constructor(target: Target, host: TargetsHost, born: number) {
    this.target = target
    this.born = born
    this.generation = born
    this.health = new Health({
      settings: host.settings,
      mayEject: () => this.pools.some((pool) => pool.mayEject(this)),
      neighboursDoWell: () => this.pools.some((pool) => pool.neighboursDoWell(this)),
      probe: () => host.probe(this.target),
      changed: () => {
        for (const pool of this.pools) pool.refresh()
      },
      report: (state, reason) => host.reportHealth({ instanceId: this.target.instanceId, address: addressOf(this.target), state, reason }),
    })
  }

  /** Adds a pool of the table with this number. */
  join(pool: TargetPool, generation: number): void {
    if (this.generation === generation) this.pools.push(pool)
    else this.pools = [pool]
    this.generation = generation
    this.retired = false
  }

  /** Start of the slow start, ms since 1970. */
  get since(): number {
    return Math.max(this.target.since ?? 0, this.joinedAt, this.health.restoredAt)
  }

  /** Current share of a full target's load, (0, 1]. */
  shareAt(now: number): number {
    const age = now - this.since
    // After the clock was set back, give a full share: the target must not be starved for hours.
    if (age >= slowStartMs || age < 0) return 1
    return Math.max(smallestShare, age / slowStartMs)
  }

  /** The value of the sticky cookie, which does not reveal the id of the instance. */
  token(projectId: string): string {
    this.#token ??= createHash('sha256').update(`${projectId}\n${this.target.instanceId}`).digest('base64url').slice(0, 16)
    return this.#token
  }
}

/** Whether two targets are the same endpoint of the same instance. */
export const sameTarget = (a: Target, b: Target): boolean => a === b || (a.instanceId === b.instanceId && a.host === b.host && a.port === b.port)
