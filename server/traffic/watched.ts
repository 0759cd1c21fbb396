import type { Logger } from 'pino'
import type { ChangeBus } from '../events/bus'
import type { LinkMessages } from '../link/link-messages'

/** Live views send a heartbeat at this interval; a view without heartbeats is forgotten. */
export const watchBeatMs = 10_000
const forgottenAfterMs = 25_000
const lookEveryMs = 5_000
const tellDeadlineMs = 5_000

/**
 * Projects with open live views, sent to the routers, which then report every request of these projects. Heartbeats use the change bus,
 * because the dashboard may run in another process.
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
