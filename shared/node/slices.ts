/** What a visitor waits longer at most because of work beside theirs: about two of these, since an answer takes two turns. */
const defaultSliceMs = 2
/** Of work that begins in a turn which has something else to do. */
const firstSliceMs = 0.5

/**
 * Long work in a process that serves meanwhile: a step, then `if (slices.over) await slices.next()`. Between two slices everything else
 * that waits has its turn.
 */
export class Slices {
  readonly #ms: number
  #end: number

  constructor(ms = defaultSliceMs) {
    this.#ms = ms
    this.#end = performance.now() + ms
  }

  get over(): boolean {
    return performance.now() >= this.#end
  }

  next(): Promise<void> {
    return new Promise((resolve) =>
      setImmediate(() => {
        this.#end = performance.now() + this.#ms
        resolve()
      }),
    )
  }
}

/**
 * Runs work that yields after every small step: the first slice at once, so that small work is done when this returns, the rest in turns
 * of its own. The function it gives ends it early.
 */
export function inSlices(work: Iterator<unknown>): () => void {
  let timer: NodeJS.Immediate | undefined
  const run = (ms: number) => {
    timer = undefined
    const end = performance.now() + ms
    do if (work.next().done === true) return
    while (performance.now() < end)
    timer = setImmediate(run, defaultSliceMs)
  }
  run(firstSliceMs)
  return () => {
    if (timer !== undefined) clearImmediate(timer)
    timer = undefined
  }
}
