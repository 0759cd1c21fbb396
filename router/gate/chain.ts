import { Duplex, pipeline } from 'node:stream'
import type { AnswerFilter } from './gate'

/** Two filters as one: the second sees what the first made of the answer. */
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
    // Its callback is there so that nothing is thrown: the ends tell of faults themselves.
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
