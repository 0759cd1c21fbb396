import { createHash } from 'node:crypto'
import type { Target } from '@/shared/route-table'
import { addressOf, Health, type HealthSettings } from '../health/health'

/** What every target's state shares. */
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
  /** Reads the health of all targets anew. */
  refresh(): void
  /** Gives waiting requests to a target that has room again. */
  serveWaiters(freed: TargetState): void
}

/** How long a newcomer's share grows until it is a whole one. */
export const slowStartMs = 10_000
const smallestShare = 0.1

/** One endpoint as this worker knows it, over all tables and routes that name it. */
export class TargetState {
  target: Target
  /** Requests and upgraded connections open. */
  inFlight = 0
  readonly health: Health
  /** ms since 1970 when it came beside others that served already; 0: it was there from the beginning. */
  joinedAt = 0
  /** Which table of this worker first named it. */
  readonly born: number
  /** Of which table `pools` are: the present one's, or that before until it is its turn. */
  generation: number
  /** Pools with this target in them. */
  pools: TargetPool[] = []
  /** No table names it any more: it is forgotten once its last request is over. */
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

  /** A pool of the table of this generation has it. */
  join(pool: TargetPool, generation: number): void {
    if (this.generation === generation) this.pools.push(pool)
    else this.pools = [pool]
    this.generation = generation
    this.retired = false
  }

  /** When its share began to grow, ms since 1970. */
  get since(): number {
    return Math.max(this.target.since ?? 0, this.joinedAt, this.health.restoredAt)
  }

  /** Share of a whole one that it takes now, (0, 1]. */
  shareAt(now: number): number {
    const age = now - this.since
    // A clock that was set back must not starve it for hours.
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
