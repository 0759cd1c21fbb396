import { ChunkScanner } from './parse/chunked'
import type { RequestHead } from './parse/request-head'

/** Where the body of one request ends: counted, or found by its chunks. */
export class RequestFrame {
  /** Run of payload that the last `take` found. */
  from = 0
  to = 0
  done = true
  #left = 0
  #chunks: ChunkScanner | null = null
  #chunked = false

  begin(head: RequestHead): void {
    this.done = !head.hasBody
    this.#chunked = head.chunked
    this.#left = head.contentLength
    if (!head.chunked) return
    this.#chunks ??= new ChunkScanner()
    this.#chunks.reset()
  }

  /** Once `done`; null when there are none that may pass on. */
  get trailers(): [string, string][] | null {
    return this.#chunked && this.#chunks !== null ? this.#chunks.trailers : null
  }

  /** Goes on from `at`. Returns where to go on, or -1 when the chunks are broken. */
  take(bytes: Buffer, at: number, end: number): number {
    const chunks = this.#chunks
    if (this.#chunked && chunks !== null) {
      const after = chunks.scan(bytes, at, end)
      this.from = chunks.from
      this.to = chunks.to
      this.done = chunks.done
      return after
    }
    const run = Math.min(this.#left, end - at)
    this.#left -= run
    this.from = at
    this.to = at + run
    this.done = this.#left === 0
    return this.to
  }
}
