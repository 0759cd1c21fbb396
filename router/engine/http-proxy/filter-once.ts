import type { CacheState } from '@/shared/link'
import type { AnswerFilter } from '../../gate/gate'

type Head = Parameters<AnswerFilter['onHead']>
type Seen = ReturnType<AnswerFilter['onHead']>

/** The filter of one request's answer, if it has one: called with the head, and exactly once with the end. */
export class FilterOnce {
  readonly #filter: AnswerFilter | null
  #over: boolean

  constructor(filter: AnswerFilter | null) {
    this.#filter = filter
    this.#over = filter === null
  }

  /** Returns the filter's change to the head; null: the answer passes as it is. A filter that throws is left out, and `failed` is called. */
  onHead(status: Head[0], headers: Head[1], failed: (error: unknown) => void): Seen {
    try {
      return this.#filter?.onHead(status, headers) ?? null
    } catch (error) {
      failed(error)
      this.abort()
      return null
    }
  }

  /** The filter got the whole answer. */
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
