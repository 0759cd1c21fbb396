import type { RequestBody } from './downstream'
import { uploads } from './io/load-gauge'

/** In a crowd of uploads an instance is asked when so much of a body is here, or all of it: a place there is not had for a byte. */
const enoughBytes = 8_192
const lastChunk = '0\r\n\r\n'

export const enoughOf = (contentLength: number): number => Math.min(contentLength, enoughBytes)

/** Whether what is here of an HTTP/1 body, as it came, is enough; `null` is nothing. */
export function isEnough(bytes: Buffer | null, body: RequestBody, contentLength: number): boolean {
  if (bytes === null) return false
  if (body === 'length') return bytes.length >= enoughOf(contentLength)
  return bytes.length >= enoughBytes || bytes.includes(lastChunk, Math.max(0, bytes.length - lastChunk.length))
}

/** What a client owes of one request's body. */
export class Upload {
  #owes = false
  #onEnough: (() => void) | null = null

  begin(): void {
    this.#owes = true
    uploads.enter()
  }

  /** The body is whole, or nobody waits for it any more. */
  over(): void {
    if (!this.#owes) return
    this.#owes = false
    uploads.leave()
    this.goOn()
  }

  /** There are so many that an instance had better not be asked for this one yet. */
  get early(): boolean {
    return this.#owes && uploads.dense
  }

  /** Somebody waits for `goOn`. */
  get held(): boolean {
    return this.#onEnough !== null
  }

  /** Resolves with `goOn`. */
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
