import type { RequestBody } from './downstream'
import { uploads } from './io/load-gauge'

/** Under many uploads, a request reaches its instance only with this much of its body, or all of it: slow uploads must not occupy instances. */
const enoughBytes = 8_192
const lastChunk = '0\r\n\r\n'

export const enoughOf = (contentLength: number): number => Math.min(contentLength, enoughBytes)

/** Whether the received bytes of an HTTP/1 body, framing included, are enough; null: none were received. */
export function isEnough(bytes: Buffer | null, body: RequestBody, contentLength: number): boolean {
  if (bytes === null) return false
  if (body === 'length') return bytes.length >= enoughOf(contentLength)
  return bytes.length >= enoughBytes || bytes.includes(lastChunk, Math.max(0, bytes.length - lastChunk.length))
}

/** Tracks the part of a request's body that the client has not sent yet. */
export class Upload {
  #owes = false
  #onEnough: (() => void) | null = null

  begin(): void {
    this.#owes = true
    uploads.enter()
  }

  /** The body is complete, or the request no longer needs it. */
  over(): void {
    if (!this.#owes) return
    this.#owes = false
    uploads.leave()
    this.goOn()
  }

  /** Whether the request must wait for more of its body because too many uploads are in progress. */
  get early(): boolean {
    return this.#owes && uploads.overloaded
  }

  /** Whether the request waits for `goOn`. */
  get held(): boolean {
    return this.#onEnough !== null
  }

  /** Resolves when `goOn` is called. */
  hold(): Promise<void> {
    return new Promise((resolve) => {
      this.#onEnough = resolve
    })
  }

  goOn(): void {
    this.#onEnough?.()
    this.#onEnough = null
  }
}
