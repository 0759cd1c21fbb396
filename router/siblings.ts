import type { Take } from './rules/rate-limits'

/** The other workers of this machine, reached through the process that started them all. */
export interface Siblings {
  send(takes: Take[], sent: () => void): void
  /** Calls `received` with messages of other workers, not validated. */
  onReceive(received: (takes: unknown) => void): void
}

/** null: this worker is alone, or has no parent process. Without the parent, workers no longer reach each other. */
export function findSiblings(workers: number): Siblings | null {
  if (workers < 2 || !process.connected) return null
  return {
    send(takes, sent) {
      if (process.connected) process.send?.({ type: 'takes', takes }, undefined, undefined, () => sent())
      else sent()
    },
    onReceive(received) {
      process.on('message', (message: unknown) => {
        if (typeof message === 'object' && message !== null && 'type' in message && message.type === 'takes' && 'takes' in message)
          received(message.takes)
      })
    },
  }
}
