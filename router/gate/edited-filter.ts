import type { AnswerFilter, HeaderEdits } from './gate'
import { editAnswer } from './local-answers'

/** A filter whose own answers carry what rules add to every answer: engines add it to the instance's alone. */
export function withEdits(filter: AnswerFilter | null, edits: HeaderEdits | null): AnswerFilter | null {
  return filter === null || edits === null ? filter : new EditedFilter(filter, edits)
}

class EditedFilter implements AnswerFilter {
  readonly #filter: AnswerFilter
  readonly #edits: HeaderEdits

  constructor(filter: AnswerFilter, edits: HeaderEdits) {
    this.#filter = filter
    this.#edits = edits
  }

  wants(...head: Parameters<NonNullable<AnswerFilter['wants']>>): boolean {
    return this.#filter.wants?.(...head) ?? true
  }

  onHead(status: number, headers: [string, string][]): ReturnType<AnswerFilter['onHead']> {
    const seen = this.#filter.onHead(status, headers)
    return seen !== null && 'replace' in seen ? { replace: editAnswer(seen.replace, this.#edits) } : seen
  }

  abort(): void {
    this.#filter.abort()
  }

  get cache(): AnswerFilter['cache'] {
    return this.#filter.cache
  }
}
