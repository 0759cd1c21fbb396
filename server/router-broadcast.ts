import type { ChildProcess } from '@/shared/node/exec'

/** Unread messages per router. Beyond it the router hangs: drop messages, or the memory of the supervisor would grow. */
const maxWaiting = 64

/** Forwards `takes` messages (tokens taken from shared rate limits) from one router to all others through the supervisor. */
export class RouterBroadcast {
  readonly #waiting = new WeakMap<ChildProcess, number>()

  /** True: the message was meant for the other routers and has been sent to them. */
  forward(message: unknown, from: ChildProcess, routers: Iterable<ChildProcess>): boolean {
    if (typeof message !== 'object' || message === null || !('type' in message) || message.type !== 'takes') return false
    for (const router of routers) if (router !== from) this.#send(router, message)
    return true
  }

  #send(router: ChildProcess, message: object): void {
    const waiting = this.#waiting.get(router) ?? 0
    if (!router.connected || waiting >= maxWaiting) return
    this.#waiting.set(router, waiting + 1)
    // A send error means that the router exits: its `exit` event handles that.
    router.send(message, () => this.#waiting.set(router, (this.#waiting.get(router) ?? 1) - 1))
  }
}
