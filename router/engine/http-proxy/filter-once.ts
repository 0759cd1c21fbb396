import type { CacheState } from '@/shared/link'
import type { AnswerFilter } from '../../gate/gate'

type Head = Parameters<AnswerFilter['onHead']>
type Seen = ReturnType<AnswerFilter['onHead']>

/** The optional filter of one answer: called once with the head, and exactly once at the end. */
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

  /** The filter received the whole answer. */
  finish(): void {
    this.#over = true
  }

  /** The answer is incomplete: aborts the filter. */
  abort(): void {
    if (this.#over) return
    this.#over = true
    this.#filter?.abort()
  }

  /** The filter's result for the access log; null: no filter. */
  get cache(): CacheState | null {
    return this.#filter?.cache ?? null
  }
}
