import { setTimeout as sleep } from 'node:timers/promises'

/** An open WebSocket. */
export interface Tunnel {
  readonly instanceId: string | null
  /** Sends the client a close frame after the current frame of the instance, and no more bytes of the instance. */
  sendRestart(): void
}

/** Time for clients to answer a close frame. */
const answerMs = 2_000
const lookMs = 20

/** The open WebSockets of an engine. */
export class Tunnels {
  readonly #open = new Set<Tunnel>()

  add(tunnel: Tunnel): void {
    this.#open.add(tunnel)
  }

  delete(tunnel: Tunnel): void {
    this.#open.delete(tunnel)
  }

  /** Ends tunnels to these instances; null: all. Resolves with their number when they have closed, or after a grace period. */
  async end(instanceIds: readonly string[] | null): Promise<number> {
    const wanted = instanceIds && new Set(instanceIds)
    const ending = [...this.#open].filter(({ instanceId }) => wanted === null || (instanceId !== null && wanted.has(instanceId)))
    for (const tunnel of ending) tunnel.sendRestart()
    const until = Date.now() + answerMs
    while (Date.now() < until && ending.some((tunnel) => this.#open.has(tunnel))) await sleep(lookMs)
    return ending.length
  }
}
