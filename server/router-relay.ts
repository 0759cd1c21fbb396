import type { ChildProcess } from '@/shared/node/exec'

/** Beyond so many that it has not read yet, a router hears no more: it hangs, and this process must not grow with it. */
const maxWaiting = 64

/** What routers tell each other on their way through their parent: what they gave of rate limits. */
export class RouterRelay {
  readonly #waiting = new WeakMap<ChildProcess, number>()

  /** Whether the message was for the other routers. */
  pass(message: unknown, from: ChildProcess, routers: Iterable<ChildProcess>): boolean {
    if (typeof message !== 'object' || message === null || !('type' in message) || message.type !== 'takes') return false
    for (const router of routers) if (router !== from) this.#send(router, message)
    return true
  }

  #send(router: ChildProcess, message: object): void {
    const waiting = this.#waiting.get(router) ?? 0
    if (!router.connected || waiting >= maxWaiting) return
    this.#waiting.set(router, waiting + 1)
    // An error is a router that ends; whoever minds it hears of that.
    router.send(message, () => this.#waiting.set(router, (this.#waiting.get(router) ?? 1) - 1))
  }
}
