import type { Logger } from 'pino'
import type { ChangeBus } from '../events/bus'
import type { LinkMessages } from '../link/link-messages'

/** Whoever looks says so again and again; who has left, or died, is forgotten by silence. */
export const watchBeatMs = 10_000
const forgottenAfterMs = 25_000
const lookEveryMs = 5_000
const tellDeadlineMs = 5_000

/**
 * Which projects somebody looks at live, kept with the routers, which then tell of every request of them. Beats come over the change bus:
 * the dashboard's process may be another one than the routers' control plane.
 */
export class WatchedProjects {
  readonly #until = new Map<string, number>()
  readonly #talk: Pick<LinkMessages, 'setState'>
  readonly #logger: Logger
  readonly #ended = new AbortController()
  readonly #timer: NodeJS.Timeout
  #told = ''

  constructor(talk: Pick<LinkMessages, 'setState'>, bus: ChangeBus, logger: Logger) {
    this.#talk = talk
    this.#logger = logger
    void this.#listen(bus)
    this.#timer = setInterval(() => this.#tell(), lookEveryMs)
    this.#timer.unref()
  }

  has(projectId: string): boolean {
    return (this.#until.get(projectId) ?? 0) > Date.now()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#ended.abort()
  }

  async #listen(bus: ChangeBus): Promise<void> {
    for await (const change of bus.listen((c) => c.kind === 'watch', this.#ended.signal)) {
      if (!change?.projectId) continue
      this.#until.set(change.projectId, Date.now() + forgottenAfterMs)
      this.#tell()
    }
  }

  #tell(): void {
    const now = Date.now()
    for (const [id, until] of this.#until) if (until <= now) this.#until.delete(id)
    const projectIds = [...this.#until.keys()].sort()
    const told = projectIds.join()
    if (told === this.#told) return
    this.#told = told
    this.#talk
      .setState('watched', { projectIds }, { deadlineMs: tellDeadlineMs })
      .catch((error) => this.#logger.warn({ err: error }, 'a router does not know yet which projects are watched'))
  }
}
