import { Duplex, pipeline } from 'node:stream'
import type { AnswerFilter, HeaderEdits } from './gate'
import { editAnswer } from './local-answers'

/** Chains two filters: the second receives the output of the first. */
export function chainFilters(first: AnswerFilter | null, second: AnswerFilter | null): AnswerFilter | null {
  if (first === null || second === null) return first ?? second
  return new Chain(first, second)
}

class Chain implements AnswerFilter {
  readonly #first: AnswerFilter
  readonly #second: AnswerFilter

  constructor(first: AnswerFilter, second: AnswerFilter) {
    this.#first = first
    this.#second = second
  }

  wants(...head: Parameters<NonNullable<AnswerFilter['wants']>>): boolean {
    const asks = (filter: AnswerFilter) => filter.wants?.(...head) ?? true
    return asks(this.#first) || asks(this.#second)
  }

  onHead(status: number, headers: [string, string][]): ReturnType<AnswerFilter['onHead']> {
    const one = this.#first.onHead(status, headers)
    if (one === null) return this.#second.onHead(status, headers)
    if ('replace' in one) return one
    const two = this.#second.onHead(one.status, one.headers)
    if (two === null) return one
    if ('replace' in two || one.through === null || two.through === null)
      return 'replace' in two ? two : { ...two, through: two.through ?? one.through }
    // The empty callback prevents a throw: both streams report their errors themselves.
    pipeline(one.through, two.through, () => {})
    return { ...two, through: Duplex.from({ writable: one.through, readable: two.through }) }
  }

  abort(): void {
    this.#first.abort()
    this.#second.abort()
  }

  get cache(): AnswerFilter['cache'] {
    return this.#first.cache
  }
}

/** A filter that adds rule headers to the answers it makes itself: engines add them only to the instance's answers. */
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
