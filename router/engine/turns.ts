import { RequestRecord } from './access-record'

/**
 * One request after the other in the same object. What was asked for one of them may come when it is over, or when the next is under
 * way: it is told apart by its turn.
 */
export abstract class Turns extends RequestRecord {
  /** Decisions asked for and not made yet, of this request and of ones before it: what they look at must not become another request. */
  undecided = 0
  protected begunAt = 0
  /** A decision came later than the request: the clock has to be read again. */
  protected waited = false
  #turn = 0
  #open = false
  #left: AbortController | null = null

  /** Whether a request is under way. */
  get open(): boolean {
    return this.#open
  }

  protected beginTurn(): void {
    this.#turn++
    this.#open = true
    this.waited = false
    this.begunAt = performance.now()
  }

  protected endTurn(): void {
    this.#open = false
    this.durationMs = performance.now() - this.begunAt
    this.#left = null
  }

  /** A decision about the request threw. */
  protected abstract broken(error: unknown): void

  /** Goes on with `next` when the promise is settled; with `late` if the request is over by then. */
  protected later<T>(promise: Promise<T>, next: (value: T) => void, late: (value: T) => void = () => {}): void {
    const turn = this.#turn
    this.waited = true
    this.front.facts.detach()
    this.undecided++
    const current = () => {
      this.undecided--
      return this.#turn === turn && this.#open
    }
    promise.then(
      (value) => (current() ? next(value) : late(value)),
      (error) => {
        if (current()) this.broken(error)
      },
    )
  }

  /** Runs `act`, whenever it is called, only while the request under way now is. */
  protected duringThis(act: () => void): () => void {
    const turn = this.#turn
    return () => {
      if (this.#turn === turn && this.#open) act()
    }
  }

  /** Aborts when the client leaves. Only made for requests that have to wait. */
  get signal(): AbortSignal {
    this.#left ??= new AbortController()
    return this.#left.signal
  }

  protected stopWaiting(): void {
    this.#left?.abort()
  }
}
