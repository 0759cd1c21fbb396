/** Interval at which deadlines are checked. There is no timer per connection or request, and a deadline fires at most this late. */
export const tickMs = 250

/** A coarse clock and one timer for all deadlines of an engine. */
export class Clock {
  /** ms of `performance.now()`, at most a tick old. */
  now = Math.round(performance.now())
  readonly #timer: NodeJS.Timeout

  constructor(onTick: () => void) {
    this.#timer = setInterval(() => {
      this.now = Math.round(performance.now())
      onTick()
    }, tickMs)
    this.#timer.unref()
  }

  /** Whether `ms` have passed since `since`, an earlier value of `now`. Never early. */
  passed(since: number, ms: number): boolean {
    return this.now - since >= ms + tickMs
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}
