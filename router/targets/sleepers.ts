import type { EdgeAsks } from '@/shared/edge-link'
import type { RouterLog } from '../log'
import type { HostTable, LiveRoute } from '../match/host-table'
import type { Problem } from '../pages/pages'
import type { Lease, TargetAsk } from './targets'

export interface SleepersOptions {
  wake(ask: EdgeAsks['wake']['ask']): Promise<EdgeAsks['wake']['answer']>
  timeoutMs: number
  /** Requests that may wait for one deployment. */
  maxWaiting: number
  log: RouterLog
}

type Result = Lease | Problem | Promise<Lease | Problem>

/** Whoever was to wake a deployment may have died over it: while visitors keep coming it is asked for again after so long. */
const askAgainMs = 10_000

interface Sleeper {
  readonly route: LiveRoute
  readonly deploymentId: string
  readonly ask: TargetAsk
  settle(result: Result): void
}

/**
 * Requests for deployments that sleep. The first one has them woken, all wait for the table that brings their targets; a deployment is
 * asked for once, however many wait.
 */
export class Sleepers {
  readonly #options: SleepersOptions
  readonly #waiting = new Set<Sleeper>()
  /** Deployments that were asked for and have somebody waiting, how many, and when it was. */
  readonly #asked = new Map<string, { waiting: number; at: number }>()

  constructor(options: SleepersOptions) {
    this.#options = options
  }

  /** Holds a request until its deployment is awake; gives the problem to show when that fails or takes too long. */
  hold(route: LiveRoute, deploymentId: string, ask: TargetAsk): Problem | Promise<Lease | Problem> {
    const asked = this.#asked.get(deploymentId) ?? { waiting: 0, at: Number.NEGATIVE_INFINITY }
    if (ask.signal?.aborted || asked.waiting >= this.#options.maxWaiting) return asleep(route)
    const held = new Promise<Lease | Problem>((resolve) => {
      const sleeper: Sleeper = {
        route,
        deploymentId,
        ask,
        settle: (result) => {
          clearTimeout(timer)
          ask.signal?.removeEventListener('abort', leave)
          if (this.#waiting.delete(sleeper)) this.#countOut(deploymentId)
          resolve(result)
        },
      }
      const leave = () => sleeper.settle(asleep(route))
      const timer = setTimeout(leave, this.#options.timeoutMs)
      ask.signal?.addEventListener('abort', leave, { once: true })
      this.#waiting.add(sleeper)
    })
    this.#asked.set(deploymentId, asked)
    asked.waiting++
    const now = performance.now()
    if (now - asked.at >= askAgainMs) {
      asked.at = now
      void this.#wake(deploymentId)
    }
    return held
  }

  /** A new table: whoever has targets now goes on, in the order in which they came. */
  apply(table: HostTable, acquire: (route: LiveRoute, ask: TargetAsk) => Result): void {
    for (const sleeper of [...this.#waiting]) {
      const route = table.find(sleeper.route.host)
      // Another project's has doors that these visitors never passed.
      if (route?.projectId !== sleeper.route.projectId) sleeper.settle(asleep(sleeper.route))
      else if (route.targets.length > 0 || route.state !== 'sleeping' || route.deploymentId !== sleeper.deploymentId)
        sleeper.settle(acquire(route, sleeper.ask))
    }
  }

  close(): void {
    for (const sleeper of [...this.#waiting]) sleeper.settle(asleep(sleeper.route))
  }

  #countOut(deploymentId: string): void {
    const asked = this.#asked.get(deploymentId)
    if (asked && --asked.waiting === 0) this.#asked.delete(deploymentId)
  }

  async #wake(deploymentId: string): Promise<void> {
    try {
      const { accepted } = await this.#options.wake({ deploymentId })
      if (!accepted) this.#giveUp(deploymentId)
    } catch (error) {
      this.#options.log.warn({ err: error, deploymentId }, 'a sleeping deployment could not be woken')
      this.#giveUp(deploymentId)
    }
  }

  #giveUp(deploymentId: string): void {
    for (const sleeper of [...this.#waiting]) if (sleeper.deploymentId === deploymentId) sleeper.settle(asleep(sleeper.route))
  }
}

const asleep = (route: LiveRoute): Problem => ({ kind: 'asleep', host: route.host, projectName: route.projectName })
