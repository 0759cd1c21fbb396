import type { CacheState } from '@/shared/link'
import type { LiveRoute } from '../../match/host-table'
import type { FinishedRequest, Observer } from '../../observe/observer'

export type AccessDescription = ReturnType<FinishedRequest['describe']>

/** The access record of one request or upgraded connection. The observer gets it exactly once. */
export class AccessRecord implements FinishedRequest {
  route: LiveRoute | null = null
  instanceId: string | null = null
  status = 0
  durationMs = 0
  upstreamMs: number | null = null
  bytesIn = 0
  bytesOut = 0
  cache: CacheState = 'none'
  reason: string | null = null
  readonly describe: () => AccessDescription
  readonly #observer: Observer
  readonly #startedAt = performance.now()
  #over = false

  constructor(observer: Observer, describe: () => AccessDescription) {
    this.#observer = observer
    this.describe = describe
  }

  end(): void {
    if (this.#over) return
    this.#over = true
    this.durationMs = performance.now() - this.#startedAt
    this.#observer.end(this)
  }
}
