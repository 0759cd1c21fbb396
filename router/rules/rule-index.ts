import type { Matcher } from '@/shared/rules/rules'

interface Numbered<R> {
  order: number
  rule: R
}
const none: readonly never[] = []

/**
 * Index of rules by path: exact paths and first segments are looked up in maps; rules whose first segment is a parameter are scanned.
 * Candidates are returned in the order in which the rules were written.
 */
export class RuleIndex<R extends Matcher> {
  readonly size: number
  readonly #exact = new Map<string, Numbered<R>[]>()
  readonly #segment = new Map<string, Numbered<R>[]>()
  readonly #open: Numbered<R>[] = []

  constructor(rules: readonly R[]) {
    this.size = rules.length
    for (const [order, rule] of rules.entries()) {
      const { literal, firstSegment } = rule.pattern
      if (literal !== null) put(this.#exact, literal, { order, rule })
      else if (firstSegment !== null) put(this.#segment, firstSegment, { order, rule })
      else this.#open.push({ order, rule })
    }
  }

  /** Rules that may match a decoded path, with their numbers. When at most one list has candidates, no iterator is allocated. */
  candidates(path: string): Iterable<Numbered<R>> {
    const exact = this.#exact.size > 0 ? (this.#exact.get(path) ?? none) : none
    const segment = this.#segment.size > 0 ? (this.#segment.get(firstSegment(path)) ?? none) : none
    if (exact.length === 0 && segment.length === 0) return this.#open
    if (this.#open.length === 0 && segment.length === 0) return exact
    if (this.#open.length === 0 && exact.length === 0) return segment
    return this.#merged(exact, segment)
  }

  *#merged(exact: readonly Numbered<R>[], segment: readonly Numbered<R>[]): IterableIterator<Numbered<R>> {
    const open = this.#open
    let [a, b, c] = [0, 0, 0]
    for (;;) {
      const [x, y, z] = [exact[a]?.order ?? Infinity, segment[b]?.order ?? Infinity, open[c]?.order ?? Infinity]
      const next = x < y && x < z ? exact[a++] : y < z ? segment[b++] : open[c++]
      if (next === undefined) return
      yield next
    }
  }
}

function put<R>(map: Map<string, Numbered<R>[]>, key: string, entry: Numbered<R>): void {
  const list = map.get(key)
  if (list) list.push(entry)
  else map.set(key, [entry])
}

function firstSegment(path: string): string {
  const slash = path.indexOf('/', 1)
  return slash === -1 ? path : path.slice(0, slash)
}
