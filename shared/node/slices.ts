/** Longest slice of background work. A request waits about two slices longer, because a response takes two turns of the event loop. */
const defaultSliceMs = 2
/** Length of the first slice, in a turn of the event loop that has other work too. */
const firstSliceMs = 0.5

/**
 * Splits long work in a process that also serves requests: do a step, then `if (slices.over) await slices.next()`. Other pending work runs
 * between two slices.
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
 * Runs work that yields after every small step. The first slice runs at once, so small work is complete on return; the rest runs in later turns.
 * The returned function cancels it.
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
