import { Duplex, pipeline, type Readable, type Writable } from 'node:stream'
import type { AnswerFilter } from '../gate/gate'

type Verdict = ReturnType<AnswerFilter['onHead']>

/** Two filters one after the other: the second sees what the first made of the answer. null stands for "no filter". */
export function chainFilters(first: AnswerFilter | null, second: AnswerFilter | null): AnswerFilter | null {
  return first && second ? new ChainedFilters(first, second) : (first ?? second)
}

class ChainedFilters implements AnswerFilter {
  readonly #first: AnswerFilter
  readonly #second: AnswerFilter
  /** Which of them look at the head; the others were told by their `wants`. */
  #looks = [true, true]

  constructor(first: AnswerFilter, second: AnswerFilter) {
    this.#first = first
    this.#second = second
  }

  get cache(): AnswerFilter['cache'] {
    return this.#first.cache === 'none' ? this.#second.cache : this.#first.cache
  }

  wants(status: number, read: (name: string) => string | undefined): boolean {
    this.#looks = [this.#first, this.#second].map((filter) => filter.wants?.(status, read) ?? true)
    return this.#looks.includes(true)
  }

  onHead(status: number, headers: [string, string][]): Verdict {
    const before = this.#looks[0] ? this.#first.onHead(status, headers) : null
    if (before && 'replace' in before) {
      this.#second.abort()
      return before
    }
    // Asked again when the first one changed the head: the second may want what it did not before.
    const after = this.#looks[1] || before ? this.#second.onHead(before?.status ?? status, before?.headers ?? headers) : null
    if (!before || !after) return after ?? before
    if ('replace' in after) {
      this.#first.abort()
      return after
    }
    return { ...after, through: joined(before.through, after.through) }
  }

  abort(): void {
    this.#first.abort()
    this.#second.abort()
  }
}

function joined(first: NodeJS.ReadWriteStream | null, second: NodeJS.ReadWriteStream | null): NodeJS.ReadWriteStream | null {
  if (!first || !second) return first ?? second
  // An error on either side destroys the other; whoever reads sees it at the end of the pair.
  pipeline(first, second, () => {})
  return Duplex.from({ writable: first as unknown as Writable, readable: second as unknown as Readable })
}
