import type { CacheState } from '@/shared/edge-link'
import type { AnswerFilter } from '../../gate/gate'

type Head = Parameters<AnswerFilter['onHead']>
type Seen = ReturnType<AnswerFilter['onHead']>

/** The filter of one request's answer, if it has one: told the head, and told exactly once how it ended. */
export class FilterOnce {
  readonly #filter: AnswerFilter | null
  #over: boolean

  constructor(filter: AnswerFilter | null) {
    this.#filter = filter
    this.#over = filter === null
  }

  /** What it makes of the head; null: the answer passes as it is. One that throws is left out, and `failed` told. */
  onHead(status: Head[0], headers: Head[1], failed: (error: unknown) => void): Seen {
    try {
      return this.#filter?.onHead(status, headers) ?? null
    } catch (error) {
      failed(error)
      this.abort()
      return null
    }
  }

  /** It was told everything. */
  finish(): void {
    this.#over = true
  }

  /** Nothing more will come. */
  abort(): void {
    if (this.#over) return
    this.#over = true
    this.#filter?.abort()
  }

  /** What it did, as the access log says it; null: there is none. */
  get cache(): CacheState | null {
    return this.#filter?.cache ?? null
  }
}
