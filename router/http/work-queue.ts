/** Runs jobs one at a time, with a bounded queue: compression uses at most one core. */
export class WorkQueue {
  readonly #waiting: (() => Promise<void>)[] = []
  readonly #max: number
  #busy = false

  constructor(max: number) {
    this.#max = max
  }

  /** False: the queue is full. Errors of a job are ignored. */
  add(work: () => Promise<void>): boolean {
    if (this.#waiting.length >= this.#max) return false
    this.#waiting.push(work)
    if (!this.#busy) void this.#run()
    return true
  }

  async #run(): Promise<void> {
    this.#busy = true
    for (let work = this.#waiting.shift(); work; work = this.#waiting.shift()) await work().catch(() => {})
    this.#busy = false
  }
}
