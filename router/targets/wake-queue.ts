import type { LinkQueries } from '@/shared/link'
import type { RouterLog } from '../log'
import type { HostTable, LiveRoute } from '../match/host-table'
import type { Problem } from '../pages/pages'
import type { Lease, TargetAsk } from './targets'

export interface WakeQueueOptions {
  wake(ask: LinkQueries['wake']['ask']): Promise<LinkQueries['wake']['answer']>
  timeoutMs: number
  /** Requests that may wait for one deployment. */
  maxWaiting: number
  log: RouterLog
}

type Result = Lease | Problem | Promise<Lease | Problem>

/** The process that wakes a deployment may have crashed: while requests keep arriving, ask again after this long. */
const askAgainMs = 10_000

interface WaitingRequest {
  readonly route: LiveRoute
  readonly deploymentId: string
  readonly ask: TargetAsk
  settle(result: Result): void
}

/**
 * Holds requests for sleeping deployments. The first request asks for the deployment to be woken, once; all of them wait for the table that
 * brings its targets.
 */
export class WakeQueue {
  readonly #options: WakeQueueOptions
  readonly #waiting = new Set<WaitingRequest>()
  /** Deployments with waiting requests: how many wait, and when the last wake was asked for. */
  readonly #asked = new Map<string, { waiting: number; at: number }>()

  constructor(options: WakeQueueOptions) {
    this.#options = options
  }

  /** Holds a request until its deployment is awake. Returns the problem to show when that fails or takes too long. */
  hold(route: LiveRoute, deploymentId: string, ask: TargetAsk): Problem | Promise<Lease | Problem> {
    const asked = this.#asked.get(deploymentId) ?? { waiting: 0, at: Number.NEGATIVE_INFINITY }
    if (ask.signal?.aborted || asked.waiting >= this.#options.maxWaiting) return asleep(route)
    const held = new Promise<Lease | Problem>((resolve) => {
      const waiting: WaitingRequest = {
        route,
        deploymentId,
        ask,
        settle: (result) => {
          clearTimeout(timer)
          ask.signal?.removeEventListener('abort', leave)
          if (this.#waiting.delete(waiting)) this.#countOut(deploymentId)
          resolve(result)
        },
      }
      const leave = () => waiting.settle(asleep(route))
      const timer = setTimeout(leave, this.#options.timeoutMs)
      ask.signal?.addEventListener('abort', leave, { once: true })
      this.#waiting.add(waiting)
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

  /** Applies a new table: requests whose deployment has targets continue, in order of arrival. */
  apply(table: HostTable, acquire: (route: LiveRoute, ask: TargetAsk) => Result): void {
    for (const waiting of [...this.#waiting]) {
      const route = table.find(waiting.route.host)
      // The host belongs to another project now, whose access rules were not checked for these requests.
      if (route?.projectId !== waiting.route.projectId) waiting.settle(asleep(waiting.route))
      else if (route.targets.length > 0 || route.state !== 'sleeping' || route.deploymentId !== waiting.deploymentId)
        waiting.settle(acquire(route, waiting.ask))
    }
  }

  close(): void {
    for (const waiting of [...this.#waiting]) waiting.settle(asleep(waiting.route))
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
    for (const waiting of [...this.#waiting]) if (waiting.deploymentId === deploymentId) waiting.settle(asleep(waiting.route))
  }
}

const asleep = (route: LiveRoute): Problem => ({ kind: 'asleep', host: route.host, projectName: route.projectName })
