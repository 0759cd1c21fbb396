/** One piece of work at a time, so many waiting at most: compression never takes more than one core's worth. */
export class WorkQueue {
  readonly #waiting: (() => Promise<void>)[] = []
  readonly #max: number
  #busy = false

  constructor(max: number) {
    this.#max = max
  }

  /** False: too much is waiting already. What the work throws is its own business. */
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
